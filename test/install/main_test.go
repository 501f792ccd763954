// Package install installs charts/penstock and what is made of it into a real API server, and
// compares it with what its documents promise.
package install

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

// root is the repository's.
const root = "../.."

// local has no CRDs at first: the chart brings them.
var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{ControllerManager: true, WithoutCRDs: true, Audit: true}, &local))
}
