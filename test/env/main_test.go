package env

import (
	"os"
	"testing"
)

// local has every part, and serves all tests that don't stop anything.
var local *Environment

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		os.Exit(victim())
	}
	os.Exit(RunTests(m, Options{
		ControllerManager: true, Argo: true, Kwok: true, Audit: true,
		Progress: func(line string) { println(line) },
	}, &local))
}
