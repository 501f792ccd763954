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

// Two environments of the same parts: in local is the installation that the tests share, and
// whose controller watches all namespaces; apart are the narrow worlds, whose namespaces it
// must not see.
var (
	local, apart *env.Environment
	installation world.Installation
)

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{ControllerManager: true, Argo: true, Kwok: true, Audit: true}, &local, &apart))
}

// newWorld is a part of the installation, with the templates pod and failing-pod. A test
// that gives settings, or ends the controller, must not be parallel.
func newWorld(t *testing.T, settings ...string) *world.World {
	t.Helper()
	return withTemplates(world.New(t, world.Options{Environment: local, Installation: &installation, Settings: settings}))
}

// newNarrowWorld is a world with controllers of its own, which see its namespace alone. Who
// makes one says why.
func newNarrowWorld(t *testing.T, settings ...string) *world.World {
	t.Helper()
	return withTemplates(world.New(t, world.Options{Environment: apart, Settings: settings}))
}

func withTemplates(w *world.World) *world.World {
	w.Create(given.PodTemplate("pod", ""), given.PodTemplate("failing-pod", "1"))
	return w
}

// seldom is a sweep that a narrow world does not live to see: only the watch tells of changes.
const seldom = "SWEEP_INTERVAL=10m"

// forEver is a template whose Workflows do not end before the test.
func forEver() *wfv1.WorkflowTemplate { return given.WorkflowTemplate("for-ever", 10*time.Minute) }
