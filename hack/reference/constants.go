package main

import (
	"go/ast"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/penstock-cd/penstock/pkg/explain"
)

// shown are the constants that people meet in objects and answers.
var shown = regexp.MustCompile(`^(Condition|Outcome|Reason)[A-Z]`)

// constantOf reads a constant with the meaning that its comment gives, or else pkg/explain.
func constantOf(spec ast.Spec) (found constant, ok bool) {
	declared, isValue := spec.(*ast.ValueSpec)
	if !isValue || len(declared.Names) != 1 || len(declared.Values) != 1 || !shown.MatchString(declared.Names[0].Name) {
		return constant{}, false
	}
	literal, isLiteral := declared.Values[0].(*ast.BasicLit)
	if !isLiteral {
		return constant{}, false
	}
	value, err := strconv.Unquote(literal.Value)
	if err != nil {
		return constant{}, false
	}
	name := declared.Names[0].Name
	meaning := strings.TrimLeft(strings.TrimPrefix(paragraph(declared.Doc.Text()), name), ": ")
	if meaning == "" {
		meaning = explained(value)
	}
	return constant{name: name, value: value, meaning: sentence(meaning)}, true
}

// explained is what pkg/explain says of a reason; empty where it says nothing.
func explained(reason string) string {
	for _, one := range explain.Reasons() {
		if string(one.Name) == reason {
			return one.Meaning
		}
	}
	return ""
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}
