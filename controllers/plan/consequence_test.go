package plan

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// indexer registers field indexes at a server that is still to be built.
type indexer struct{ *fake.ClientBuilder }

func (i indexer) IndexField(_ context.Context, object client.Object, field string, extract client.IndexerFunc) error {
	i.WithIndex(object, field, extract)
	return nil
}

// showing is an API server in memory, or a cache, that shows these pipelines.
func showing(t *testing.T, pipelines ...*v1alpha1.CdPipeline) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, v1alpha1.AddToScheme(scheme))
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, pipeline := range pipelines {
		if pipeline != nil {
			builder.WithObjects(pipeline.DeepCopy())
		}
	}
	require.NoError(t, lookup.AddIndexes(t.Context(), indexer{builder}))
	return builder.WithIndex(&v1alpha1.CdPipeline{}, "spec.parentRef.kind", func(object client.Object) []string {
		return []string{string(object.(*v1alpha1.CdPipeline).Spec.ParentRef.Kind)}
	}).WithIndex(&v1alpha1.CdPipeline{}, "spec.parentRef.name", func(object client.Object) []string {
		return []string{object.(*v1alpha1.CdPipeline).Spec.ParentRef.Name}
	}).Build()
}

// ended is a stage of a whole run of the pipeline web, which goes on to those below.
func ended(stage trigger.Stage, status store.Status, change ...func(*store.Ended)) store.Ended {
	ended := store.Ended{
		ID: 1, StageID: 2, RunID: 3, TurnID: 4, Stage: stage, Attempt: 1, Status: status, HadWorkflow: true,
		Namespace: given.Namespace, Pipeline: "web", PipelineUID: string(given.UID("web")), Number: 1,
		Artifacts: given.Artifacts(1), Descends: true, Whole: true, Build: given.Build("b1"),
	}
	for _, with := range change {
		with(&ended)
	}
	return ended
}

func behind(stages ...trigger.Stage) func(*store.Ended) {
	return func(e *store.Ended) { e.Later = stages }
}

func stopped(e *store.Ended) { e.Stopped = true }

// early is a run from before all its stages were rows.
func early(e *store.Ended) { e.Whole = false }

// reopened is a stage of a run that was reopened.
func reopened(e *store.Ended) { e.Reopened = 1 }

// overtaken is a run that was reopened after a newer build had its turn.
func overtaken(e *store.Ended) { e.Reopened, e.Overtaken = 1, true }

func underWay(e *store.Ended) { e.UnderWay = true }

// ahead means that a stage behind has begun.
func ahead(e *store.Ended) { e.Ahead = true }

func worst(status store.Status) func(*store.Ended) {
	return func(e *store.Ended) { e.Worst = status }
}

func withoutWorkflow(e *store.Ended) { e.HadWorkflow = false }

func attempt(n int32) func(*store.Ended) { return func(e *store.Ended) { e.Attempt = n } }

// follows is a consequence in short.
type follows struct {
	next  trigger.Stage
	hold  v1alpha1.Reason
	after time.Duration // of a retry; -1 is none
	ends  store.Status
	below []string
}

const none = time.Duration(-1)

func goesOnWith(next trigger.Stage, hold v1alpha1.Reason) follows {
	return follows{next: next, hold: hold, after: none}
}

func endsAs(status store.Status, below ...string) follows {
	return follows{after: none, ends: status, below: below}
}

func short(consequence store.Consequence) follows {
	f := follows{next: consequence.Next, hold: consequence.Hold.Reason, after: none, ends: consequence.Outcome}
	if consequence.Retries {
		f.after = consequence.RetryAfter
	}
	for _, decision := range consequence.Decisions {
		f.below = append(f.below, decision.Pipeline.Name+" "+string(decision.Outcome)+"/"+string(decision.Reason)+": "+decision.Message)
	}
	return f
}

const (
	childTriggered    = "child Triggered/Triggered: by build b1"
	grandchildWaits   = "grandchild Waiting/ParentRunning: waits for CdPipeline child to succeed"
	endedAsFailed     = "Blocked/ParentNotSucceeded: parent CdPipeline web ended as Failed"
	endedAsCancelled  = "Blocked/ParentNotSucceeded: parent CdPipeline web ended as Cancelled"
	endedAsSuperseded = "Skipped/ParentNotTriggered: parent CdPipeline web ended as Superseded"
	succeededLate     = "Skipped/Superseded: CdPipeline web succeeded with this build only after a newer build had its turn: " +
		"to deploy this one here all the same, create a RunRequest with action Trigger and allowOlder"
	endedAsDeleted = "Blocked/ParentNotSucceeded: parent CdPipeline web ended as deleted"
)

func TestWhatFollowsAStage(t *testing.T) {
	t.Parallel()
	web := given.CdPipeline("web")
	manualPost := given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost))
	retrying := given.CdPipeline("web", given.WithPre, given.WithRetries(2, time.Minute))
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline // nil is gone
		ended    store.Ended
		want     follows
	}{
		"the next stage follows one that succeeded": {
			given.CdPipeline("web", given.WithPre, given.WithPost), ended(trigger.StagePre, store.StatusSucceeded, behind(trigger.StageDeploy, trigger.StagePost)),
			goesOnWith(trigger.StageDeploy, ""),
		},
		"a stage that was planned follows though the pipeline has it no more: its task finds out": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)), goesOnWith(trigger.StagePost, ""),
		},
		"a stage that was added later does not follow: the set is fixed at planning": {
			given.CdPipeline("web", given.WithPost), ended(trigger.StageDeploy, store.StatusSucceeded),
			endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"the next stage waits for a person where it is manual": {
			manualPost, ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)),
			goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson),
		},
		"the next stage waits where the pipeline is on hold": {
			given.CdPipeline("web", given.WithPost, given.Held), ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)),
			goesOnWith(trigger.StagePost, v1alpha1.ReasonHold),
		},
		"that the stage itself is manual matters no more": {
			given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StageDeploy)),
			ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)), goesOnWith(trigger.StagePost, ""),
		},
		"the success of the last stage goes on below": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded), endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"the success of a last stage on hold goes on below: nothing is left to hold": {
			given.CdPipeline("web", given.Held), ended(trigger.StageDeploy, store.StatusSucceeded),
			endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"each artifact of the run goes on below": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, func(e *store.Ended) { e.Artifacts = given.Artifacts(2) }),
			endsAs(store.StatusSucceeded, childTriggered, grandchildWaits, childTriggered, grandchildWaits),
		},
		"a failure ends the run and blocks what is below": {
			web, ended(trigger.StageDeploy, store.StatusFailed), endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},
		"a failure ends the run though there are stages behind": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusFailed, behind(trigger.StageDeploy)),
			endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},

		// Retries.
		"a stage that failed is tried again after its backoff": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed), follows{after: time.Minute},
		},
		"a stage that failed again is tried again later": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, attempt(2)), follows{after: 2 * time.Minute},
		},
		"a stage whose retries are used up has failed": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, attempt(3)),
			endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},
		"a stage whose Workflow ended as Error, or is lost, is tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusError), follows{after: time.Minute},
		},
		"a stage that never had a Workflow is not tried again: it would be refused anew": {
			retrying, ended(trigger.StageDeploy, store.StatusError, withoutWorkflow, func(e *store.Ended) { e.Descends = false }),
			endsAs(store.StatusError),
		},
		"a stage that timed out is tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, func(e *store.Ended) { e.Reason = v1alpha1.ReasonTimedOut }),
			follows{after: time.Minute},
		},
		"a stage without retries is not tried again for those of another": {
			retrying, ended(trigger.StagePre, store.StatusFailed, behind(trigger.StageDeploy), func(e *store.Ended) { e.Descends = false }),
			endsAs(store.StatusFailed),
		},
		"a stage that was cancelled is not tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusCancelled),
			endsAs(store.StatusCancelled, "child "+endedAsCancelled, "grandchild "+endedAsCancelled),
		},
		"a stage that was superseded is not tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusSuperseded, func(e *store.Ended) { e.Descends = false }),
			endsAs(store.StatusSuperseded),
		},
		"a stage that was to be stopped is not tried again, however it ended": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, stopped),
			endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},

		// Runs that are to be stopped.
		"a run that is to be stopped does not go on, and has not succeeded": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, behind(trigger.StageDeploy), stopped),
			endsAs(store.StatusCancelled, "child "+endedAsCancelled, "grandchild "+endedAsCancelled),
		},
		"a run that was to be stopped has succeeded where its last stage did first": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, stopped), endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},

		// Pipelines that are gone.
		"a run whose pipeline is gone does not go on": {
			nil, ended(trigger.StagePre, store.StatusSucceeded, behind(trigger.StageDeploy)),
			endsAs(store.StatusCancelled, "child "+endedAsDeleted, "grandchild "+endedAsDeleted),
		},
		"a run whose pipeline is gone has not succeeded, even with its last stage": {
			nil, ended(trigger.StageDeploy, store.StatusSucceeded),
			endsAs(store.StatusCancelled, "child "+endedAsDeleted, "grandchild "+endedAsDeleted),
		},
		"a run whose pipeline is gone has failed where its stage did": {
			nil, ended(trigger.StageDeploy, store.StatusFailed), endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},
		"a pipeline of the same name that came later is another": {
			given.CdPipeline("web", given.WithRetries(5, 0), func(p *v1alpha1.CdPipeline) { p.UID = given.UID("later") }),
			ended(trigger.StageDeploy, store.StatusFailed), endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},

		// Runs that do not descend.
		"a rollback that succeeded decides nothing below": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, func(e *store.Ended) { e.Descends = false }), endsAs(store.StatusSucceeded),
		},
		"a rollback that failed decides nothing below": {
			web, ended(trigger.StageDeploy, store.StatusFailed, func(e *store.Ended) { e.Descends = false }), endsAs(store.StatusFailed),
		},

		// Runs that were reopened.
		"a reopened stage that succeeded goes on with the one that waits for it": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, reopened, behind(trigger.StageDeploy)),
			goesOnWith(trigger.StageDeploy, ""),
		},
		"a reopened stage that succeeded starts nothing where the one behind it has begun": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, reopened, ahead, underWay, behind(trigger.StagePost)), follows{after: none},
		},
		"a reopened stage that failed leaves the run open while another is under way": {
			web, ended(trigger.StageDeploy, store.StatusFailed, reopened, ahead, underWay), follows{after: none},
		},
		"a reopened stage that succeeded goes on behind the one that has ended meanwhile": {
			given.CdPipeline("web", given.WithPre, given.WithPost), ended(trigger.StagePre, store.StatusSucceeded, reopened, ahead, behind(trigger.StagePost)),
			goesOnWith(trigger.StagePost, ""),
		},
		"nothing comes after a stage that succeeded where the one before it failed": {
			given.CdPipeline("web", given.WithPre, given.WithPost), ended(trigger.StageDeploy, store.StatusSucceeded, reopened, worst(store.StatusFailed), behind(trigger.StagePost)),
			endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},
		"an early run starts no stage twice": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, early, reopened, ahead), endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"a run ends badly where another stage did": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, reopened, worst(store.StatusError)),
			endsAs(store.StatusError, "child Blocked/ParentNotSucceeded: parent CdPipeline web ended as Error", "grandchild Blocked/ParentNotSucceeded: parent CdPipeline web ended as Error"),
		},
		"a reopened run ends well with its last stage": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, reopened, ahead), endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"nothing comes after a stage of an overtaken run": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, overtaken, behind(trigger.StageDeploy)),
			endsAs(store.StatusSuperseded, "child "+endedAsSuperseded, "grandchild "+endedAsSuperseded),
		},
		"an overtaken run that succeeded triggers nothing below": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, overtaken), endsAs(store.StatusSucceeded, "child "+succeededLate, "grandchild "+succeededLate),
		},
		"an overtaken run that failed again is not tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, overtaken),
			endsAs(store.StatusFailed, "child "+endedAsFailed, "grandchild "+endedAsFailed),
		},
		"a reopened run that failed again is tried again": {
			retrying, ended(trigger.StageDeploy, store.StatusFailed, reopened), follows{after: time.Minute},
		},

		// Runs from before all stages were rows.
		"an early run goes on with what the pipeline has now": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, early), goesOnWith(trigger.StageDeploy, ""),
		},
		"an early run goes on with DEPLOY even when PRE was removed meanwhile": {
			web, ended(trigger.StagePre, store.StatusSucceeded, early), goesOnWith(trigger.StageDeploy, ""),
		},
		"an early run goes on with a row that was made of it": {
			manualPost, ended(trigger.StageDeploy, store.StatusSucceeded, early, behind(trigger.StagePost)),
			goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson),
		},
		"an early run waits for a person where its next stage is manual": {
			manualPost, ended(trigger.StageDeploy, store.StatusSucceeded, early), goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson),
		},
		"an early run ends with the pipeline's last stage": {
			web, ended(trigger.StageDeploy, store.StatusSucceeded, early), endsAs(store.StatusSucceeded, childTriggered, grandchildWaits),
		},
		"an early run that is to be stopped has not succeeded while there are stages to come": {
			given.CdPipeline("web", given.WithPre), ended(trigger.StagePre, store.StatusSucceeded, early, stopped),
			endsAs(store.StatusCancelled, "child "+endedAsCancelled, "grandchild "+endedAsCancelled),
		},
		"an early run whose pipeline is gone does not go on": {
			nil, ended(trigger.StagePre, store.StatusSucceeded, early),
			endsAs(store.StatusCancelled, "child "+endedAsDeleted, "grandchild "+endedAsDeleted),
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			world := showing(t, tc.pipeline,
				given.CdPipeline("child", given.BelowCd("web")), given.CdPipeline("grandchild", given.BelowCd("child")))
			f := newFollowing(t, world, world)
			consequence, children, err := f.decide(t, tc.ended)
			require.NoError(t, err)
			require.Equal(t, tc.ended, consequence.Ended)
			require.Equal(t, tc.want, short(consequence))
			requireOne(t, consequence, tc.ended.UnderWay)
			require.Equal(t, tc.ended.Descends && consequence.Outcome != "", children.asked(), "the API server was asked for nothing, or not asked")
		})
	}
}

// requireOne checks that exactly one thing follows, or nothing while another stage of the
// run is under way.
func requireOne(t *testing.T, consequence store.Consequence, underWay bool) {
	t.Helper()
	n := 0
	for _, is := range []bool{consequence.Next != "", consequence.Retries, consequence.Outcome != ""} {
		if is {
			n++
		}
	}
	require.Equal(t, !underWay, n == 1)
	require.LessOrEqual(t, n, 1)
	require.Equal(t, consequence.Hold.Reason == "", consequence.Hold.Message == "", "a hold says what to do")
}

// following is a follower of what is decided alone.
type following struct{ *Follower }

func newFollowing(t *testing.T, cache, live client.Reader) following {
	t.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	return following{NewFollower(Config{Cache: cache, Live: live, Decider: trigger.Decider{Filters: filters}, Bounds: NewBounds()}, logr.Discard())}
}

func (f following) decide(t *testing.T, ended store.Ended) (store.Consequence, *chained, error) {
	t.Helper()
	children := newChained(&f.Config)
	consequence, err := f.consequence(t.Context(), ended, children)
	return consequence, children, err
}

func TestThatAStageIsHeldIsAskedOfTheAPIServer(t *testing.T) {
	t.Parallel()
	free := given.CdPipeline("web", given.WithPost)
	manual := given.CdPipeline("web", given.WithPost, given.ManualStage(trigger.StagePost))
	held := given.CdPipeline("web", given.WithPost, given.Held)
	replaced := given.CdPipeline("web", given.WithPost, func(p *v1alpha1.CdPipeline) { p.UID = given.UID("later") })
	for sentence, tc := range map[string]struct {
		cached, live *v1alpha1.CdPipeline
		want         follows
	}{
		"it is held where both say so":                      {manual, manual, goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson)},
		"it goes on where only the cache takes it for held": {held, free, goesOnWith(trigger.StagePost, "")},
		"it is held by what holds it now":                   {held, manual, goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson)},
		"it goes on where the cache says so, without a request": {
			free, nil, goesOnWith(trigger.StagePost, ""),
		},
		"a run ends where only the cache has its pipeline, on hold": {held, nil, endsAs(store.StatusCancelled)},
		"a run ends where the pipeline on hold is another now":      {held, replaced, endsAs(store.StatusCancelled)},
		"a pipeline that the cache does not show yet is asked for":  {nil, manual, goesOnWith(trigger.StagePost, v1alpha1.ReasonPerson)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			f := newFollowing(t, showing(t, tc.cached), showing(t, tc.live))
			consequence, _, err := f.decide(t, ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)))
			require.NoError(t, err)
			require.Equal(t, tc.want, short(consequence))
		})
	}
}

func TestAConsequenceHasThePolicyThatThePipelineHasNow(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		want     v1alpha1.ConcurrencyPolicy
	}{
		"that of the spec": {given.CdPipeline("web", given.Concurrency(v1alpha1.ConcurrencyReplace)), v1alpha1.ConcurrencyReplace},
		"none, which is Queue, where the pipeline is gone": {nil, ""},
	} {
		for _, status := range []store.Status{store.StatusSucceeded, store.StatusFailed} {
			world := showing(t, tc.pipeline)
			consequence, _, err := newFollowing(t, world, world).decide(t, ended(trigger.StageDeploy, status))
			require.NoError(t, err)
			require.Equal(t, tc.want, consequence.Policy, sentence)
		}
	}
}

// down is an API server that answers nothing.
type down struct{ client.Reader }

var errDown = errors.New("connection refused")

func (down) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errDown
}

func (down) List(context.Context, client.ObjectList, ...client.ListOption) error { return errDown }

func TestNothingFollowsWhileTheAPIServerMustBeAskedAndDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		cached *v1alpha1.CdPipeline
		ended  store.Ended
	}{
		"for a pipeline that the cache does not show": {nil, ended(trigger.StageDeploy, store.StatusFailed)},
		"whether a stage is held": {
			given.CdPipeline("web", given.WithPost, given.Held), ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)),
		},
		"which pipelines are below": {given.CdPipeline("web"), ended(trigger.StageDeploy, store.StatusSucceeded)},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, _, err := newFollowing(t, showing(t, tc.cached), down{}).decide(t, tc.ended)
			require.ErrorIs(t, err, errDown)
		})
	}
	t.Run("but a stage that is not held goes on", func(t *testing.T) {
		t.Parallel()
		f := newFollowing(t, showing(t, given.CdPipeline("web", given.WithPost)), down{})
		consequence, _, err := f.decide(t, ended(trigger.StageDeploy, store.StatusSucceeded, behind(trigger.StagePost)))
		require.NoError(t, err)
		require.Equal(t, goesOnWith(trigger.StagePost, ""), short(consequence))
	})
	t.Run("and one is tried again", func(t *testing.T) {
		t.Parallel()
		f := newFollowing(t, showing(t, given.CdPipeline("web", given.WithRetries(1, time.Second))), down{})
		consequence, _, err := f.decide(t, ended(trigger.StageDeploy, store.StatusFailed))
		require.NoError(t, err)
		require.Equal(t, follows{after: time.Second}, short(consequence))
	})
}
