package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage the heap may gather, in percent of what lives. Most of
// what lives is the cache, which stays: Go's own 100 would keep as much again for
// garbage, and collecting twice as often costs little.
const gcPercent = 50

// limitGarbage sets it, unless the operator has set GOGC.
func limitGarbage() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
