// Package stage is what a benchmark scenario is and what it is given: it starts
// real parts, and writes progress alone.
package stage

import "context"

// Scenario puts one question to the product and measures the answer.
type Scenario struct {
	// Name is that of the scenario's JSON file.
	Name string
	// Sentence says what is measured.
	Sentence string
	// Run measures. It stops what it started before it returns, also when the
	// context ends.
	Run func(context.Context, *Stage) (Result, error)
}

// Result is what was measured. It marshals to a JSON object, whose fields others
// rely on.
type Result interface {
	// Table is the same for people: the head, then a row for each thing measured.
	Table() [][]string
}
