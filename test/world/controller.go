package world

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/oracle"
)

const (
	// raceDetecting is the binary with the race detector. The first race ends it.
	raceDetecting = "penstock-race"
	haltOnRace    = "GORACE=halt_on_error=1"
)

// Controller is one controller of a world, or that of its installation.
type Controller struct {
	*env.Controller
	w        *World
	launched time.Time
	limits   oracle.Limits
	mayFail  bool
}

// Start starts a controller with these settings beside the world's, and returns when
// it is ready. It is stopped, gracefully, when the test ends. Where the world is a part of
// an installation it returns that one's, started where none runs.
func (w *World) Start(settings ...string) *Controller {
	w.t.Helper()
	if w.installation == nil {
		return w.StartWith(env.ControllerOptions{Env: settings})
	}
	controller, err := w.installation.start(w, append(slices.Clone(w.settings), settings...))
	require.NoError(w.t, err)
	w.add(controller)
	w.t.Cleanup(controller.showLog)
	require.NoError(w.t, controller.WaitReady(w.t.Context()))
	return controller
}

func (w *World) add(controller *Controller) {
	w.t.Helper()
	w.controllers = append(w.controllers, controller)
	w.raiseLimits()
}

// StartWith is Start with a binary, a database URL or an API server of its own. What
// is left empty is the world's; the binary is that with the race detector.
func (w *World) StartWith(o env.ControllerOptions) *Controller {
	w.t.Helper()
	controller := w.Launch(o)
	require.NoError(w.t, controller.WaitReady(w.t.Context()))
	return controller
}

// Launch is StartWith without waiting: the database may be down. The world must be narrow.
func (w *World) Launch(o env.ControllerOptions) *Controller {
	w.t.Helper()
	require.Nil(w.t, w.installation, "a controller of a test's own needs a narrow world")
	o.Binary = cmp.Or(o.Binary, raceDetecting)
	o.DatabaseURL = cmp.Or(o.DatabaseURL, w.DatabaseURL)
	o.Name = cmp.Or(o.Name, fmt.Sprintf("%s-%d", w.Namespace, len(w.controllers)+1))
	o.Env = append(append([]string{haltOnRace}, w.settings...), o.Env...)
	controller := &Controller{w: w, launched: time.Now(), limits: w.limitsOf(o.Env)}
	var err error
	controller.Controller, err = w.environment.LaunchController(o)
	require.NoError(w.t, err)
	w.add(controller)
	w.t.Cleanup(controller.end)
	return controller
}

// Stop ends the controller with SIGTERM and waits.
func (c *Controller) Stop() error {
	c.mine()
	return c.Controller.Stop()
}

// Kill ends the controller at once, with SIGKILL, and waits.
func (c *Controller) Kill() error {
	c.mine()
	return c.Controller.Kill()
}

// mine fails a test that ends a controller which others need.
func (c *Controller) mine() {
	if c.w.installation != nil {
		c.w.installation.alone(c.w.t)
	}
}

// MayFail says that the controller may end by itself with an error, such as one that
// has lost its leadership.
func (c *Controller) MayFail() { c.mayFail = true }

// end stops the controller. It fails the test where the controller has ended in any
// other way than it may.
func (c *Controller) end() {
	c.w.t.Helper()
	if c.mayFail {
		require.NoError(c.w.t, c.Stop())
	} else {
		requireEnd(c.w.t, c.Controller)
	}
	c.showLog()
}

// requireEnd stops a controller. It fails the test unless it has ended with status 0, or was
// killed.
func requireEnd(t testing.TB, controller *env.Controller) {
	t.Helper()
	require.NoError(t, controller.Stop())
	var exit *exec.ExitError
	if err := controller.Exit(); errors.As(err, &exit) {
		status, known := exit.Sys().(syscall.WaitStatus)
		if !known || status.Signal() != syscall.SIGKILL {
			t.Errorf("the controller ended with %v", err)
		}
	}
}

// showLog shows how the log ends where the test has failed.
func (c *Controller) showLog() {
	c.w.t.Helper()
	if c.w.t.Failed() {
		c.w.t.Logf("the end of %s:\n%s", c.Log(), c.lastLines())
	}
}

// lastLines are the end of the log.
func (c *Controller) lastLines() []byte {
	const most = 60
	text, err := os.ReadFile(c.Log())
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-most):], nil)
}

// Probe returns what a probe of the controller answers, such as /readyz; 0 for
// nothing.
func (c *Controller) Probe(ctx context.Context, path string) int {
	response, err := get(ctx, c.HealthURL+path)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// Metric returns the value of a gauge or counter of the controller, summed over its
// labels, of the lane cd where it has lanes; -1 where it has none.
func (c *Controller) Metric(ctx context.Context, name string) float64 {
	response, err := get(ctx, c.MetricsURL)
	if err != nil {
		return -1
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || families[name] == nil {
		return -1
	}
	sum := 0.0
	for _, metric := range families[name].GetMetric() {
		if slices.ContainsFunc(metric.GetLabel(), func(label *dto.LabelPair) bool { return label.GetName() == "lane" && label.GetValue() != "cd" }) {
			continue
		}
		sum += metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
	}
	return sum
}

// get leaves no connection behind.
func get(ctx context.Context, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Close = true
	return http.DefaultClient.Do(request)
}
