// Package browser looks at the dashboard as people do: with Chromium, at a server and a
// controller that are processes of their own, on real parts.
package browser

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{ControllerManager: true, Argo: true, Kwok: true}, &local))
}
