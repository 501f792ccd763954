package config

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// Describe returns a table of every variable, its default and its meaning, one
// variable a line.
func Describe() string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "VARIABLE\tDEFAULT\tMEANING")
	for _, v := range variables() {
		fmt.Fprintf(table, "%s\t%s\t%s (%s)\n", v.name, v.shownDefault(), v.meaning, v.allowed)
	}
	// Flush fails only when the underlying writer does, and a Builder never does.
	_ = table.Flush()
	return text.String()
}

// variable is one environment variable, as the tags of its field tell.
type variable struct {
	name         string
	defaultValue string
	// allowed says in words which values are accepted.
	allowed string
	meaning string
	// required means that the process does not start without it.
	required bool
	// secret means that its value is never printed.
	secret bool
	// live means that it can be changed while the process runs.
	live bool
}

func (v variable) shownDefault() string {
	switch {
	case v.required:
		return "(required)"
	case v.defaultValue == "":
		return "(empty)"
	default:
		return v.defaultValue
	}
}

// variables reads the tags of Config; the index of a variable is its field's.
func variables() []variable {
	config := reflect.TypeFor[Config]()
	described := make([]variable, config.NumField())
	for index := range described {
		field := config.Field(index)
		_, required := field.Tag.Lookup("required")
		_, live := field.Tag.Lookup("live")
		described[index] = variable{
			name:         field.Tag.Get("env"),
			defaultValue: field.Tag.Get("envDefault"),
			allowed:      ruleOf(field).allowed,
			meaning:      field.Tag.Get("meaning"),
			required:     required,
			secret:       field.Type == reflect.TypeFor[Secret](),
			live:         live,
		}
	}
	return described
}
