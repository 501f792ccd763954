package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
)

// call is one method of a store, with the timeout that is promised for it.
type call struct {
	timeout time.Duration
	run     func(ctx context.Context, s *store.Store) error
}

// calls are all of a store's methods that speak to the server.
func calls(t *testing.T) map[string]call {
	t.Helper()
	plan := planOf(t, given.Build("during"), given.Artifacts(1), given.CdPipelines(1, "web"))
	ids := []string{"x"}
	return map[string]call{
		"Ping": {store.PingTimeout, func(ctx context.Context, s *store.Store) error { return s.Ping(ctx) }},
		"Plan": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Plan(ctx, plan)
			return err
		}},
		"IsPlanned": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.IsPlanned(ctx, "x")
			return err
		}},
		"Planned": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Planned(ctx, ids)
			return err
		}},
		"Claim": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Claim(ctx, "w", 1, lease)
			return err
		}},
		"Complete": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Complete(ctx, "w", []store.Completion{{ID: 1, Attempt: 1, Status: store.StatusSubmitted}})
			return err
		}},
		"ReclaimExpired": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ReclaimExpired(ctx)
			return err
		}},
		"QueueDepth": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.QueueDepth(ctx)
			return err
		}},
		"ActiveWorkflows": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ActiveWorkflows(ctx)
			return err
		}},
		"Observe": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Observe(ctx, []store.Observation{{ID: 1, WorkflowName: "x", Status: store.StatusRunning}})
			return err
		}},
		"Observe of a Workflow that is gone": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Observe(ctx, []store.Observation{{ID: 1, WorkflowName: "x", Gone: true}})
			return err
		}},
		"StaleActive": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.StaleActive(ctx, 0, 0, 1)
			return err
		}},
		"Unfollowed": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Unfollowed(ctx, 1, nil)
			return err
		}},
		"Follow": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			return s.Follow(ctx, []store.Consequence{{Ended: store.Ended{ID: 1}, Outcome: store.StatusFailed}})
		}},
		"Summaries": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Summaries(ctx, ids)
			return err
		}},
		"WaitingBuilds": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.WaitingBuilds(ctx)
			return err
		}},
		"LastRuns": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.LastRuns(ctx, ids)
			return err
		}},
		"LastDecisions": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.LastDecisions(ctx, ids)
			return err
		}},
	}
}

func TestTheCallsAreAllThatSpeakToTheServer(t *testing.T) {
	t.Parallel()
	known := calls(t)
	methods := reflect.TypeFor[*store.Store]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; name != "Close" && name != "Pool" && name != "Migrate" {
			require.Contains(t, known, name)
		}
	}
}

// throughProxy is a store whose every connection is open, and goes through a proxy.
func throughProxy(t *testing.T, connections int) (*store.Store, *fault.Postgres, string) {
	t.Helper()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: int32(connections)}
	require.NoError(t, store.Migrate(t.Context(), config))
	proxy, err := fault.NewPostgres(config.URL)
	require.NoError(t, err)
	config.URL = proxy.URL
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() {
		proxy.Close() // first: a pool that is closed waits for its connections
		s.Close()
	})
	open := make([]*pgxpool.Conn, connections)
	for i := range open {
		open[i], err = s.Pool().Acquire(t.Context())
		require.NoError(t, err)
	}
	for _, connection := range open {
		connection.Release()
	}
	return s, proxy, s.Pool().Config().ConnConfig.Password
}

// requireAllEnd runs every call at once, and wants of each an error, in time, that
// does not hold the password.
func requireAllEnd(t *testing.T, s *store.Store, password string, bound func(call) time.Duration) {
	t.Helper()
	var group sync.WaitGroup
	for name, one := range calls(t) {
		group.Go(func() {
			began := time.Now()
			err := one.run(context.Background(), s)
			took := time.Since(began)
			if err == nil {
				t.Errorf("%s: no error", name)
				return
			}
			if took > bound(one) {
				t.Errorf("%s: ended after %s with %v, want at most %s", name, took, err, bound(one))
			}
			if password != "" && strings.Contains(fmt.Sprintf("%v %+v", err, err), password) {
				t.Errorf("%s: the error holds the password", name)
			}
		})
	}
	group.Wait()
}

// slack is for a machine that is busy with other tests.
const slack = 3 * time.Second

func TestEveryCallEndsAtOnceWhenTheServerIsGone(t *testing.T) {
	t.Parallel()
	s, proxy, password := throughProxy(t, len(calls(t)))
	proxy.Close()
	requireAllEnd(t, s, password, func(call) time.Duration { return slack })
}

// One connection is the hardest: whoever has it keeps all others waiting.
func TestEveryCallEndsAtItsTimeoutWhenTheServerHangs(t *testing.T) {
	t.Parallel()
	for _, connections := range []int{len(calls(t)), 1} {
		t.Run(fmt.Sprintf("with %d connections", connections), func(t *testing.T) {
			t.Parallel()
			s, proxy, password := throughProxy(t, connections)
			proxy.Stall()
			requireAllEnd(t, s, password, func(c call) time.Duration { return c.timeout + slack })
			proxy.Resume()
			require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, slack, 50*time.Millisecond, "it does not recover by itself")
			require.LessOrEqual(t, s.Pool().Stat().TotalConns(), int32(connections))
		})
	}
}

func TestManyCallsShareOneConnectionWithoutADeadlock(t *testing.T) {
	t.Parallel()
	s, proxy, _ := throughProxy(t, 1)
	proxy.SetLatency(time.Millisecond)
	var group sync.WaitGroup
	for name, one := range calls(t) {
		group.Go(func() {
			for range 10 {
				if err := one.run(t.Context(), s); err != nil && !errors.Is(err, store.ErrStale) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	group.Wait()
}
