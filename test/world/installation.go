package world

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/oracle"
)

// Installation is Penstock as its users install it: one database, and one controller that
// watches all namespaces, leads by a Lease, and keeps the intervals that it has by default.
// Worlds share it; each sees its own namespace. The zero value is ready to use, for one
// environment.
type Installation struct {
	mu         sync.Mutex
	prepared   bool
	worlds     int
	starts     int
	controller *env.Controller
	launched   time.Time
	settings   []string
}

// join counts a world in until its test has ended. The last one stops the controller.
func (i *Installation) join(w *World) {
	w.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.prepared {
		require.NoError(w.t, prepareDatabase(w.t.Context(), w.environment.DatabaseURL))
		i.prepared = true
	}
	i.worlds++
	w.t.Cleanup(func() { i.leave(w.t) })
}

func (i *Installation) leave(t testing.TB) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.worlds--
	if i.worlds == 0 && i.controller != nil {
		requireEnd(t, i.controller)
		i.controller = nil
	}
}

// start returns the controller that runs, and the settings that it was started with. It
// starts one where none does.
func (i *Installation) start(w *World, settings []string) (*Controller, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.controller == nil || hasEnded(i.controller) {
		if err := i.launch(w, settings); err != nil {
			return nil, err
		}
	} else if fmt.Sprint(settings) != fmt.Sprint(i.settings) {
		return nil, fmt.Errorf("the installation's controller runs with the settings %v, not %v: let the test run alone, or in a narrow world", i.settings, settings)
	}
	return &Controller{Controller: i.controller, w: w, launched: i.launched, limits: w.limitsOf(settings)}, nil
}

func (i *Installation) launch(w *World, settings []string) error {
	if len(settings) > 0 && i.worlds > 1 {
		return fmt.Errorf("settings %v would be those of %d tests: let the test run alone, or in a narrow world", settings, i.worlds)
	}
	i.starts++
	launched := time.Now()
	controller, err := w.environment.LaunchController(env.ControllerOptions{
		Binary: raceDetecting, Name: fmt.Sprintf("penstock-%d", i.starts),
		// One pod, which restarts: it takes its Lease back at once.
		Env: append([]string{haltOnRace, "LEADER_ELECT=true", "POD_UID=the-only-one"}, settings...),
	})
	if err != nil {
		return err
	}
	i.controller, i.launched, i.settings = controller, launched, settings
	return nil
}

// alone fails a test that breaks the controller of others.
func (i *Installation) alone(t testing.TB) {
	t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	require.Equal(t, 1, i.worlds, "this controller is other tests' too: let the test run alone, or in a narrow world")
}

func hasEnded(controller *env.Controller) bool {
	select {
	case <-controller.Ended():
		return true
	default:
		return false
	}
}

// prepareDatabase migrates before the first controller does, to record what it does
// from its first row on.
func prepareDatabase(ctx context.Context, url string) error {
	if err := store.Migrate(ctx, store.Config{URL: url, Schema: schema, MaxConns: 1}); err != nil {
		return err
	}
	database, err := openDatabase(ctx, url, schema)
	if err != nil {
		return err
	}
	defer database.Close()
	return oracle.RecordTransitions(ctx, database)
}

// openDatabase returns a pool whose search_path these schemas are.
func openDatabase(ctx context.Context, url, schemas string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.ConnConfig.RuntimeParams["search_path"] = schemas
	return pgxpool.NewWithConfig(ctx, config)
}
