// Package e2e runs the controller, as a process of its own with the rights of
// config/rbac, against the real parts, and ends each test with the oracle.
package e2e

import (
	"os"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{ControllerManager: true, Argo: true, Kwok: true, Audit: true}, &local))
}

// newWorld prepares a world with the templates pod and failing-pod.
func newWorld(t *testing.T, settings ...string) *world.World {
	t.Helper()
	w := world.New(t, world.Options{Environment: local, Settings: settings})
	w.Create(given.PodTemplate("pod", ""), given.PodTemplate("failing-pod", "1"))
	return w
}

// forEver is a template whose Workflows do not end before the test.
func forEver() *wfv1.WorkflowTemplate { return given.WorkflowTemplate("for-ever", 10*time.Minute) }
