package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// planned is a scene whose build has succeeded and is planned.
func planned(t *testing.T, pipelines ...client.Object) *scene {
	t.Helper()
	build := given.CiBuild("b1")
	s := newScene(t, append(pipelines, given.CiPipeline(given.CI), build)...)
	s.finish(build, v1alpha1.BuildSucceeded)
	require.NoError(t, s.look("b1"))
	s.woken = 0
	return s
}

// follow commits what follows all that has ended.
func follow(t *testing.T, follower *Follower) {
	t.Helper()
	_, err := follower.runOnce(t.Context())
	require.NoError(t, err)
}

func TestAStageThatSucceededIsFollowedByTheNextAndThenByThePipelinesBelow(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web", given.WithPre), given.CdPipeline("below", given.BelowCd("web")))
	follower := s.follower()
	s.end(store.StatusSucceeded)
	follow(t, follower)
	require.Equal(t, []string{"web DEPLOY Pending"}, s.table(queued))
	require.Equal(t, []string{"web goes on"}, s.table(ran))
	require.Positive(t, s.woken)

	s.end(store.StatusSucceeded)
	follow(t, follower)
	require.Equal(t, []string{"below DEPLOY Pending"}, s.table(queued))
	require.Equal(t, []string{"below goes on", "web Succeeded"}, s.table(ran))
	require.Equal(t, []string{"Build b1 ", "Decision b1 below", "Decision b1 web", "Run b1 web", "Task b1 below", "Task b1 web"}, s.table(logged))
}

func TestAStageThatOnlyTheCacheTakesForManualStarts(t *testing.T) {
	t.Parallel()
	manual := given.ManualStage(trigger.StageDeploy)
	s := planned(t, given.CdPipeline("web", given.WithPre), given.CdPipeline("held", given.WithPre, manual))
	s.Cache = outdated{s.cache, func(object client.Object) {
		if pipeline, ok := object.(*v1alpha1.CdPipeline); ok {
			manual(pipeline)
		}
	}}
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Equal(t, []string{"held DEPLOY Held/Person", "web DEPLOY Pending"}, s.table(queued))
	require.Equal(t, []string{"held Triggered/Triggered", "web Triggered/Triggered"}, s.table(decided))
}

func TestAStageThatFailedBlocksThePipelinesBelow(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web", given.WithPre), given.CdPipeline("below", given.BelowCd("web")))
	s.end(store.StatusFailed)
	follow(t, s.follower())
	require.Empty(t, s.table(queued))
	require.Equal(t, []string{"web Failed"}, s.table(ran))
	require.Equal(t, []string{"below Blocked/ParentNotSucceeded", "web Triggered/Triggered"}, s.table(decided))
	require.Equal(t, []string{"web DEPLOY Cancelled/StageBeforeFailed"}, s.table(later))
}

func TestAStageThatFailedIsTriedAgainInTheSameRun(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web", given.WithPost, given.WithRetries(1, 0)), given.CdPipeline("below", given.BelowCd("web")))
	s.end(store.StatusFailed)
	follow(t, s.follower())
	require.Equal(t, []string{"web DEPLOY Pending"}, s.table(queued), "with another Workflow")
	require.Equal(t, []string{"web POST Held/StageBefore"}, s.table(later))
	require.Equal(t, []string{"web goes on"}, s.table(ran))
	require.Equal(t, []string{"below Waiting/ParentRunning", "web Triggered/Triggered"}, s.table(decided))

	s.end(store.StatusFailed)
	follow(t, s.follower())
	require.Empty(t, s.table(queued), "there was one retry")
	require.Equal(t, []string{"web Failed"}, s.table(ran))
	require.Equal(t, []string{"below Blocked/ParentNotSucceeded", "web Triggered/Triggered"}, s.table(decided))
	require.Len(t, s.table("SELECT DISTINCT workflow_name FROM task WHERE inputs->>'stage' = 'DEPLOY'"), 2)
}

func TestAChildOfAPipelineThatTheCacheDoesNotShowYetIsTriggered(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	s.Cache = blind{s.cache}
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Equal(t, []string{"below DEPLOY Pending"}, s.table(queued))
}

func TestTheRunOfAPipelineThatIsGoneEnds(t *testing.T) {
	t.Parallel()
	for sentence, again := range map[string]bool{"deleted": false, "deleted and created again": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			web := given.CdPipeline("web", given.WithPre)
			s := planned(t, web, given.CdPipeline("below", given.BelowCd("web")))
			s.end(store.StatusSucceeded)
			require.NoError(t, s.cluster.Delete(t.Context(), web))
			if again {
				another := given.CdPipeline("web", given.WithPre)
				another.Namespace = s.namespace
				require.NoError(t, s.cluster.Create(t.Context(), another))
				s.sees(another)
			}
			// A cache that still shows it delays the end; it is right either way.
			require.Eventually(t, func() bool {
				return s.cache.Get(t.Context(), s.named("web"), &v1alpha1.CdPipeline{}) != nil == !again
			}, patience, 5*time.Millisecond)
			follow(t, s.follower())
			require.Empty(t, s.table(queued), "the next stage is none of the new one's business")
			require.Equal(t, []string{"web Cancelled"}, s.table(ran))
			require.Equal(t, []string{"below Blocked/ParentNotSucceeded", "web Triggered/Triggered"}, s.table(decided))
		})
	}
}

func TestTheAPIServerIsAskedOnceForABatch(t *testing.T) {
	t.Parallel()
	var pipelines []client.Object
	for n := range 30 {
		pipelines = append(pipelines, given.CdPipeline(fmt.Sprintf("web-%02d", n)))
	}
	s := planned(t, pipelines...)
	var lists atomic.Int32
	s.failing(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		lists.Add(1)
		return c.List(ctx, list, options...)
	}})
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Len(t, s.table(ran+" LIMIT 30"), 30)
	require.Empty(t, s.table(queued))
	require.EqualValues(t, 1, lists.Load())
}

// One stage can't be followed, however often: its pipeline is not in the cache, and the
// API server fails for it alone.
func TestAStageThatCannotBeFollowedKeepsNoOther(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("a"), given.CdPipeline("poison"), given.CdPipeline("z"))
	broken := errors.New("etcdserver: request timed out")
	s.failing(interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
		if key.Name == "poison" {
			return broken
		}
		return c.Get(ctx, key, object, options...)
	}})
	s.Cache = without{s.cache, "poison"}
	s.end(store.StatusSucceeded)
	follower := s.follower()
	require.Eventually(t, func() bool {
		_, err := follower.runOnce(t.Context())
		return err == nil || !errors.Is(err, broken)
	}, patience, time.Millisecond)
	require.Equal(t, []string{"poison DEPLOY Succeeded"}, s.table(queued))
	require.Equal(t, []string{"a Succeeded", "poison goes on", "z Succeeded"}, s.table(ran))

	s.Live = s.cluster
	follow(t, s.follower())
	require.Equal(t, []string{"a Succeeded", "poison Succeeded", "z Succeeded"}, s.table(ran))
}

// without is a cache that shows all but one object.
type without struct {
	client.Reader
	name string
}

func (w without) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if key.Name == w.name {
		return errors.New("not yet")
	}
	return w.Reader.Get(ctx, key, object, options...)
}

func TestTheFollowerFindsAtItsStartWhatACrashLeftAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web", given.WithPre))
	s.end(store.StatusSucceeded)
	follower := s.follower()
	require.True(t, follower.NeedLeaderElection())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- follower.Start(ctx) }()
	isQueued := func() bool { return len(s.table(queued)) == 1 && s.table(queued)[0] == "web DEPLOY Pending" }
	require.Eventually(t, isQueued, patience, 10*time.Millisecond)

	s.end(store.StatusSucceeded)
	for range 100 {
		follower.Wake() // never blocks
	}
	require.Eventually(t, func() bool { return s.table(ran)[0] == "web Succeeded" }, patience, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
}

// Whatever else is in the namespace.
func TestOneEndedStageReadsItsOwnChildrenAlone(t *testing.T) {
	t.Parallel()
	pipelines := []client.Object{given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web"))}
	for n := range 30 {
		pipelines = append(pipelines, given.CdPipeline(fmt.Sprintf("other-%02d", n), given.BelowCd("another")))
	}
	s := planned(t, pipelines...)
	var objects atomic.Int32
	s.failing(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		err := c.List(ctx, list, options...)
		objects.Add(int32(len(list.(*v1alpha1.CdPipelineList).Items)))
		return err
	}})
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Equal(t, []string{"below DEPLOY Pending"}, s.table(queued))
	require.EqualValues(t, 1, objects.Load())
}

// Listing the pipelines below b fails: a and c are followed at once, and b when the list
// succeeds again.
func TestAParentOfWhichTheAPIServerTellsNothingKeepsNoOther(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("a"), given.CdPipeline("b"), given.CdPipeline("c"),
		given.CdPipeline("below-a", given.BelowCd("a")), given.CdPipeline("below-b", given.BelowCd("b")), given.CdPipeline("below-c", given.BelowCd("c")))
	broken := errors.New("no answer")
	s.failing(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
		asked := client.ListOptions{}
		asked.ApplyOptions(options)
		if strings.Contains(asked.FieldSelector.String(), "spec.parentRef.name=b") {
			return broken
		}
		return c.List(ctx, list, options...)
	}})
	s.end(store.StatusSucceeded)
	follower := s.follower()
	_, err := follower.runOnce(t.Context())
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"a Succeeded", "b goes on", "below-a goes on", "below-c goes on", "c Succeeded"}, s.table(ran))

	follower.Live = s.cluster
	follower.line.until = nil // a second later
	follow(t, follower)
	require.Equal(t, []string{"a Succeeded", "b Succeeded", "below-a goes on", "below-b goes on", "below-c goes on", "c Succeeded"}, s.table(ran))
}

func TestAStageOfWhichNobodyKnowsHowItEndedIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web", given.WithRetries(3, 0)), given.CdPipeline("below", given.BelowCd("web")))
	claims, err := s.store.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1, time.Minute)
	require.NoError(t, err)
	_, err = s.store.Complete(t.Context(), "w", []store.Completion{{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusSubmitted}})
	require.NoError(t, err)
	_, err = s.store.Observe(t.Context(), []store.Observation{argo.Gone(store.Active{ID: claims[0].ID, WorkflowName: claims[0].WorkflowName, Namespace: claims[0].Namespace})})
	require.NoError(t, err)
	follow(t, s.follower())
	require.Empty(t, s.table(queued))
	require.Equal(t, []string{"web Error"}, s.table(ran))
	require.Equal(t, []string{"below Blocked/ParentNotSucceeded", "web Triggered/Triggered"}, s.table(decided))
}
