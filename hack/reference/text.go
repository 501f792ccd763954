package main

import "strings"

// paragraph is a docstring on one line.
func paragraph(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell is a text that a table can hold.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// join puts sentences together, without those that are empty.
func join(sentences ...string) string {
	var said []string
	for _, sentence := range sentences {
		if sentence != "" {
			said = append(said, sentence)
		}
	}
	return strings.Join(said, " ")
}

// refusals are the messages of the rules of a schema: what it refuses, and why.
func refusals(of schema) string {
	var messages []string
	for _, rule := range of.XValidations {
		messages = append(messages, "“"+paragraph(rule.Message)+"”")
	}
	if len(messages) == 0 {
		return ""
	}
	return "Refused with: " + strings.Join(messages, "; ") + "."
}
