package main

import (
	"fmt"
	"strconv"
	"strings"
)

// value says in words what a field takes: type, default and bounds.
func value(of schema, required bool) string {
	words := []string{typeOf(of)}
	if required {
		words = append(words, "required")
	}
	if of.Default != nil {
		words = append(words, "default `"+strings.Trim(string(of.Default.Raw), `"`)+"`")
	}
	return strings.Join(append(words, boundsOf(of)...), "; ")
}

func typeOf(of schema) string {
	switch {
	case len(of.Enum) > 0:
		return enumOf(of)
	case of.Items != nil && of.Items.Schema != nil:
		return "list of " + value(*of.Items.Schema, false)
	case of.AdditionalProperties != nil && of.AdditionalProperties.Schema != nil:
		return "map of " + value(*of.AdditionalProperties.Schema, false)
	case of.XIntOrString:
		return "integer or string"
	case of.Format == "date-time":
		return "time"
	}
	return of.Type
}

func enumOf(of schema) string {
	var values []string
	for _, one := range of.Enum {
		values = append(values, "`"+strings.Trim(string(one.Raw), `"`)+"`")
	}
	if len(values) == 1 {
		return values[0]
	}
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// boundsOf says what the schema itself refuses.
func boundsOf(of schema) (bounds []string) {
	bounds = append(bounds, between(number(of.Minimum), number(of.Maximum), "")...)
	bounds = append(bounds, between(of.MinLength, of.MaxLength, "characters")...)
	bounds = append(bounds, between(of.MinItems, of.MaxItems, "items")...)
	bounds = append(bounds, between(of.MinProperties, of.MaxProperties, "entries")...)
	if of.Pattern != "" {
		bounds = append(bounds, "matches `"+of.Pattern+"`")
	}
	return bounds
}

func number(of *float64) *int64 {
	if of == nil {
		return nil
	}
	whole := int64(*of)
	return &whole
}

// between says in one word or none what is allowed.
func between(least, most *int64, unit string) []string {
	var words string
	switch {
	case least != nil && most != nil:
		words = fmt.Sprintf("%d to %d", *least, *most)
	case most != nil:
		words = "at most " + strconv.FormatInt(*most, 10)
	case least != nil:
		words = "at least " + strconv.FormatInt(*least, 10)
	default:
		return nil
	}
	return []string{strings.TrimSpace(words + " " + unit)}
}
