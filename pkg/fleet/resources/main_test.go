package resources

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

// local is one real API server; a test of several starts another.
var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{WithoutPostgres: true}, &local))
}
