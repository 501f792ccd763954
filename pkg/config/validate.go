package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxQuoted bounds how much of a bad value an error repeats, in bytes.
const maxQuoted = 80

// validate checks every variable and returns one error for each that is bad, in
// the order of the fields.
func validate(loaded Config, environ map[string]string, unparsed map[string]bool) error {
	var problems []error
	fields := reflect.ValueOf(loaded)
	for index, v := range variables() {
		field := fields.Type().Field(index)
		rule := ruleOf(field)
		raw := environ[v.name]
		switch {
		case v.required && raw == "":
			problems = append(problems, fmt.Errorf("%s is not set: must be %s", v.name, rule.allowed))
		case unparsed[field.Name] || !rule.holds(fields.Field(index)):
			problems = append(problems, fmt.Errorf("%s: must be %s", assignment(v, raw), rule.allowed))
		}
	}
	return errors.Join(problems...)
}

func assignment(v variable, raw string) string {
	if v.secret || holdsCredentials(raw) {
		return v.name + "=" + redacted
	}
	return fmt.Sprintf("%s=%q", v.name, shortened(raw))
}

// holdsCredentials tells whether a value is a URL with a user name and perhaps a password.
func holdsCredentials(raw string) bool {
	_, rest, isURL := strings.Cut(raw, "://")
	return isURL && strings.Contains(rest, "@")
}

func shortened(raw string) string {
	if len(raw) <= maxQuoted {
		return raw
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(raw[end]) {
		end--
	}
	return raw[:end] + "…"
}
