// Package e2e runs the controller, as a process of its own with the rights of
// config/rbac, against the real parts, and ends each test with the oracle.
package e2e

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{ControllerManager: true, Argo: true, Kwok: true, Audit: true}, &local))
}
