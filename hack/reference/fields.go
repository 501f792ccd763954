package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

type schema = apiextensionsv1.JSONSchemaProps

// fieldTable lists all fields below a part of an object. A structure that is on the page
// already is not written again: described has where, by its fields.
func fieldTable(part string, of schema, described map[string]string) string {
	var rows strings.Builder
	rows.WriteString("| field | value | meaning |\n|---|---|---|\n")
	writeFields(&rows, part, of, described)
	if of.Description != "" || len(of.XValidations) > 0 {
		return join(paragraph(of.Description), refusals(of)) + "\n\n" + rows.String()
	}
	return rows.String()
}

// writeFields writes a row for each field of a structure, and the rows of what is in it.
func writeFields(rows *strings.Builder, path string, of schema, described map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
		field := of.Properties[name]
		at := path + "." + name
		inner, suffix := innermost(field)
		meaning := join(paragraph(field.Description), refusals(field))
		if before, found := seenBefore(inner, at, described); found {
			meaning = join(meaning, "The fields are those of `"+before+"`.")
			writeRow(rows, at+suffix, field, slices.Contains(of.Required, name), meaning)
			continue
		}
		if suffix != "" {
			meaning = join(meaning, paragraph(inner.Description), refusals(inner))
		}
		if isCondition(inner) {
			meaning = join(meaning, "See [conditions](conditions.md).")
			inner = schema{}
		}
		writeRow(rows, at+suffix, field, slices.Contains(of.Required, name), meaning)
		writeFields(rows, at+suffix, inner, described)
	}
}

func writeRow(rows *strings.Builder, at string, field schema, required bool, meaning string) {
	fmt.Fprintf(rows, "| `%s` | %s | %s |\n", at, cell(value(field, required)), cell(meaning))
}

// innermost is what a list or a map has, at any depth, and how its path goes on.
func innermost(of schema) (inner schema, suffix string) {
	switch {
	case of.Items != nil && of.Items.Schema != nil:
		inner, suffix = innermost(*of.Items.Schema)
		return inner, "[]" + suffix
	case of.AdditionalProperties != nil && of.AdditionalProperties.Schema != nil:
		inner, suffix = innermost(*of.AdditionalProperties.Schema)
		return inner, "{}" + suffix
	}
	return of, ""
}

// seenBefore returns where a structure of more than one field was described, and notes it
// where it was not.
func seenBefore(of schema, at string, described map[string]string) (before string, found bool) {
	if len(of.Properties) < 2 || isCondition(of) {
		return "", false
	}
	form, err := json.Marshal(of.Properties)
	if err != nil {
		return "", false // then it is described in full
	}
	if before, found = described[string(form)]; !found {
		described[string(form)] = at
	}
	return before, found
}

// isCondition tells whether a structure is Kubernetes' own condition.
func isCondition(of schema) bool {
	_, hasReason := of.Properties["reason"]
	_, hasTransition := of.Properties["lastTransitionTime"]
	return hasReason && hasTransition
}
