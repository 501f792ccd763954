package ui

import (
	"cmp"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
)

// wordsOf are what a reason means, as kubectl penstock explain says it. Events have reasons of
// both kinds.
func wordsOf(decision bool, reason string) string {
	decided, reached := explain.DecisionMeaning(v1alpha1.Reason(reason)), explain.StageMeaning(v1alpha1.Reason(reason))
	if decision {
		return cmp.Or(decided, reached)
	}
	return cmp.Or(reached, decided)
}

// ended ends words with a colon where a message follows.
func ended(words, message string) string {
	if message == "" {
		return words
	}
	return words + ":"
}

// piece is a part of a text; code is set in another font.
type piece struct {
	text string
	code bool
}

// pieces are a text without its backticks.
func pieces(text string) (all []piece) {
	for i, part := range strings.Split(text, "`") {
		if part != "" {
			all = append(all, piece{text: part, code: i%2 == 1})
		}
	}
	return all
}
