package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
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
	all := map[string]call{}
	for _, some := range []map[string]call{planCalls(t), chunkCalls(t), queueCalls(), readCalls(), mirrorCalls(), requestCalls(t), notifyCalls(), buildCalls(), baseImageCalls(), waveCalls(), clusterCalls(), webhookCalls()} {
		maps.Copy(all, some)
	}
	return all
}

func planCalls(t *testing.T) map[string]call {
	t.Helper()
	plan := planOf(t, given.Build("during"), given.Artifacts(1), given.CdPipelines(1, "web"))
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
			_, err := s.Planned(ctx, []string{"x"})
			return err
		}},
		"Unfollowed": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Unfollowed(ctx, 1, nil)
			return err
		}},
		"Follow": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			return s.Follow(ctx, []store.Consequence{{Ended: store.Ended{ID: 1}, Outcome: store.StatusFailed}})
		}},
		"Reconsider": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			return s.Reconsider(ctx, store.PipelineRef{UID: "x"}, trigger.Hold{}, nil)
		}},
	}
}

func chunkCalls(t *testing.T) map[string]call {
	t.Helper()
	web := given.CdPipeline("web")
	build := given.Build("large")
	build.CiPipeline = "another" // of one CiPipeline only one build is planned at once
	large := store.LargePlan{Build: build, Artifacts: given.Artifacts(1), Below: []trigger.Descendant{{Pipeline: web}}}
	return map[string]call{
		"BeginPlan": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.BeginPlan(ctx, large)
			return err
		}},
		"OpenPlans": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.OpenPlans(ctx, 1, nil)
			return err
		}},
		"NextChunk": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.NextChunk(ctx, "x", 1)
			return err
		}},
		"CommitChunk": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CommitChunk(ctx, store.Chunk{Build: given.Build("of no plan")})
			if errors.Is(err, store.ErrStale) {
				return nil
			}
			return err
		}},
		"Artifacts": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Artifacts(ctx, "x")
			return err
		}},
		"NoteBuild": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.NoteBuild(ctx, given.Build("lost"), given.Artifacts(1))
			return err
		}},
		"LostRuns": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.LostRuns(ctx, []store.LostRun{{Run: 1, Build: given.Build("lost"), Pipeline: web, Artifacts: given.Artifacts(1)}})
			return err
		}},
		"NoteLost": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			return s.NoteLost(ctx, store.LostRun{Run: 1, Build: given.Build("lost"), Pipeline: web, Artifacts: given.Artifacts(1)})
		}},
	}
}

func queueCalls() map[string]call {
	return map[string]call{
		"Claim": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Claim(ctx, cd, "w", 1, lease)
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
		"Beat": {store.BeatTimeout, func(ctx context.Context, s *store.Store) error { return s.Beat(ctx, "w", "r", store.WorkerState{}) }},
		"TakeOver": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.TakeOver(ctx, "w", "r")
			return err
		}},
		"EventDelay": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EventDelay(ctx)
			return err
		}},
		"CancelWaiting": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelWaiting(ctx, "x", v1alpha1.ReasonSuspended, "x")
			return err
		}},
		"CancelOfOtherParents": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelOfOtherParents(ctx, "x", "CiPipeline/x", "x")
			return err
		}},
		"SetPriority": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.SetPriority(ctx, "x", 1) }},
		"EndTemplateWaits": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EndTemplateWaits(ctx, "x", trigger.StageDeploy, time.Minute, "x")
			return err
		}},
		"Stopping": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Stopping(ctx, 1)
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
		"ActiveByNamespace": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ActiveByNamespace(ctx)
			return err
		}},
		"OldestActive": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.OldestActive(ctx, 1)
			return err
		}},
		"ClaimDelayed": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ClaimDelayed(ctx, cd, "w", lease, map[string]int{"x": 1})
			return err
		}},
		"ClaimEnding": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ClaimEnding(ctx, cd, "w", 1, lease)
			return err
		}},
		"ReleaseDelayed": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ReleaseDelayed(ctx, cd, []string{"x"})
			return err
		}},
		"DelayedNamespaces": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.DelayedNamespaces(ctx, cd)
			return err
		}},
		"DelayedOwners": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.DelayedOwners(ctx, "x", 1)
			return err
		}},
		"DelayedTasks": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.DelayedTasks(ctx)
			return err
		}},
		"Observe": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Observe(ctx, []store.Observation{{WorkflowName: "x", Status: store.StatusRunning}})
			return err
		}},
		"Observe of a Workflow that is gone": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Observe(ctx, []store.Observation{{Gone: 1}})
			return err
		}},
		"Open": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Open(ctx, []types.NamespacedName{{Namespace: "x", Name: "x"}})
			return err
		}},
		"Orphans": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Orphans(ctx, []types.NamespacedName{{Namespace: "x", Name: "x"}})
			return err
		}},
		"Submitted": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Submitted(ctx, 0, 0, 1)
			return err
		}},
		"MarkPickup": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.MarkPickup(ctx, []store.Pickup{{ID: 1}})
			return err
		}},
		"Unknown": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Unknown(ctx, []types.NamespacedName{{Namespace: "x", Name: "x"}})
			return err
		}},
		"Adopt": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Adopt(ctx, store.Adoption{
				Build: given.Build("b1"), Pipeline: given.CdPipeline("web"), Artifact: given.Artifact(0),
				Identity: trigger.Identity{Run: 1, Stage: trigger.StageDeploy, Attempt: 1},
			})
			return err
		}},
		"ClaimWithin": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.ClaimWithin(ctx, cd, "w", 1, lease, store.Rooms{Of: map[string]store.Room{"x": {Cause: v1alpha1.ReasonQuotaExceeded}}})
			return err
		}},
		"RecordClusterEvents": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.RecordClusterEvents(ctx, []store.ClusterEvent{{UID: "x", Cluster: "x", Phase: "Healthy", At: time.Now()}})
		}},
		"ClusterEvents": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ClusterEvents(ctx, "x", 0, 1)
			return err
		}},
		"EndedOtherwise": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EndedOtherwise(ctx, []store.Observation{{WorkflowName: "x", Status: store.StatusRunning}})
			return err
		}},
		"Reopen": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Reopen(ctx, []store.Retried{{Doubt: store.Doubt{WorkflowName: "x"}, Status: store.StatusRunning}})
			return err
		}},
		"StaleActive": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.StaleActive(ctx, 0, 0, 1)
			return err
		}},
	}
}

func readCalls() map[string]call {
	ids := []string{"x"}
	return map[string]call{
		"Summaries": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Summaries(ctx, ids)
			return err
		}},
		"HeldBackPipelines": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.HeldBackPipelines(ctx)
			return err
		}},
		"WaitingBuilds": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.WaitingBuilds(ctx)
			return err
		}},
		"WaitingPipelines": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.WaitingPipelines(ctx)
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
		"Deployed": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Deployed(ctx, ids)
			return err
		}},
		"EventsFromNow": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EventsFromNow(ctx)
			return err
		}},
		"Events": {2 * store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			after, err := s.EventsFromNow(ctx)
			if err != nil {
				return err
			}
			_, _, err = s.Events(ctx, after, 1)
			return err
		}},
	}
}

func mirrorCalls() map[string]call {
	return map[string]call{
		"MirrorBuilds": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.MirrorBuilds(ctx, []store.MirroredBuild{{UID: "x"}})
		}},
		"MirrorCdPipelines": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.MirrorCdPipelines(ctx, []store.MirroredCdPipeline{{UID: "x"}})
		}},
		"MirrorCiPipelines": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.MirrorCiPipelines(ctx, []store.MirroredCiPipeline{{UID: "x"}})
		}},
		"ForgetMirrored": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.ForgetMirrored(ctx, []string{"x"})
		}},
		"Mirrored": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Mirrored(ctx, "", 1)
			return err
		}},
	}
}

// plannedBefore is the build that is planned before the server is touched.
const plannedBefore = "before"

func requestCalls(t *testing.T) map[string]call {
	t.Helper()
	pipeline := given.CdPipelines(1, "web")[0]
	ref := store.PipelineRef{UID: string(pipeline.UID), Namespace: pipeline.Namespace, Name: pipeline.Name, Policy: v1alpha1.ConcurrencyAllow}
	request := func(name string) store.Request {
		return store.Request{Namespace: given.Namespace, Name: name, SpecHash: "x", Pipeline: ref, BuildName: "none"}
	}
	starting := store.Starting{
		Build: given.Build(plannedBefore), AllowOlder: true,
		Decisions: decider(t).Requested(given.Build(plannedBefore), given.Artifacts(1), &pipeline, given.FamilyOf(&pipeline)),
	}
	return map[string]call{
		"FindRequest": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.FindRequest(ctx, request("x"))
			return err
		}},
		"Refuse": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Refuse(ctx, request("refused"), "x")
			return err
		}},
		"StartRuns": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.StartRuns(ctx, request("start"), starting)
			return err
		}},
		"CancelRuns": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelRuns(ctx, request("cancel"), 0)
			return err
		}},
		"ResumeStages": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ResumeStages(ctx, request("resume"), 0, "", nil)
			return err
		}},
		"Runs": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Runs(ctx, "x", 0, "x")
			return err
		}},
		"FindBuild": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.FindBuild(ctx, "x", "x")
			return err
		}},
		"CancelOfOtherParents": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelOfOtherParents(ctx, "x", "CiPipeline/x", "x")
			return err
		}},
		"SetPriority": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.SetPriority(ctx, "x", 1) }},
		"EndTemplateWaits": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EndTemplateWaits(ctx, "x", trigger.StageDeploy, time.Minute, "x")
			return err
		}},
		"Prune": {store.PruneTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Prune(ctx, store.HistoryRuns, 0, time.Hour)
			return err
		}},
		"DeployedBefore": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.DeployedBefore(ctx, ref)
			return err
		}},
	}
}

// buildCalls are those of builds that run here.
func buildCalls() map[string]call {
	ref := store.PipelineRef{UID: "ci", Namespace: given.Namespace, Name: given.CI, Policy: v1alpha1.ConcurrencyLatest}
	request := func(name string) store.Request {
		return store.Request{Namespace: given.Namespace, Name: name, SpecHash: "x", BuildName: "none"}
	}
	return map[string]call{
		"QueueBuilds": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			return s.QueueBuilds(ctx, []store.QueuedBuild{{Build: given.Build("queued"), Pipeline: ref}}, true)
		}},
		"GiveBuildTurns": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error { return s.GiveBuildTurns(ctx, ref, "main", true) }},
		"BuildTasks": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.BuildTasks(ctx, "x")
			return err
		}},
		"EndTemplateWait": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.EndTemplateWait(ctx, 0, "x") }},
		"CancelHeldBuild": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.CancelHeldBuild(ctx, 0, "x") }},
		"EndedBuilds": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.EndedBuilds(ctx, 1, nil)
			return err
		}},
		"SettleBuilds": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.SettleBuilds(ctx, []int64{0}) }},
		"StopAbandonedBuilds": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.StopAbandonedBuilds(ctx, 1)
			return err
		}},
		"CancelBuild": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelBuild(ctx, request("cancelled-build"), "x")
			return err
		}},
		"Record": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Record(ctx, request("recorded"), store.Answer{Phase: v1alpha1.RequestDone})
			return err
		}},
	}
}

func baseImageCalls() map[string]call {
	return map[string]call{
		"MirrorBaseImages": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.MirrorBaseImages(ctx, []store.MirroredBaseImage{{UID: "x", Namespace: given.Namespace, Name: "debian", Image: "debian:12", Repository: "debian"}})
			return err
		}},
		"RecordBaseImageChecks": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.RecordBaseImageChecks(ctx, []store.BaseImageCheck{{UID: "x"}})
			return err
		}},
		"WantedBaseImages": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.WantedBaseImages(ctx)
			return err
		}},
		"WantBaseImageChecks": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.WantBaseImageChecks(ctx, given.Namespace, "debian", "12")
			return err
		}},
		"ForgetBaseImages": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.ForgetBaseImages(ctx, []string{"x"}) }},
		"BuiltDigests": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.BuiltDigests(ctx, []store.BuiltImage{{Namespace: given.Namespace, Pipeline: given.CI}})
			return err
		}},
	}
}

func TestTheCallsAreAllThatSpeakToTheServer(t *testing.T) {
	t.Parallel()
	known := calls(t)
	methods := reflect.TypeFor[*store.Store]()
	for i := range methods.NumMethod() {
		if name := methods.Method(i).Name; name != "Close" && name != "Pool" && name != "Migrate" && name != "In" {
			require.Contains(t, known, name)
		}
	}
}

// throughProxy is a store whose every connection is open, and goes through a proxy.
func throughProxy(t *testing.T, connections int) (*store.Store, *fault.Postgres, string) {
	t.Helper()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: int32(connections)}
	direct := openStore(t, config)
	planned(t, direct, plannedBefore, nil)
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
	const rounds = 10
	for name, one := range calls(t) {
		group.Go(func() {
			late := 0
			for range rounds {
				err := one.run(t.Context(), s)
				if store.IsTimeout(err) && one.timeout < store.ClaimTimeout {
					late++ // all others were before it
				} else if err != nil && !errors.Is(err, store.ErrStale) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if late == rounds { // as a call would be that holds the connection and waits for a second
				t.Errorf("%s never ends", name)
			}
		})
	}
	group.Wait()
}
