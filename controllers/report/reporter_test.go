package report

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestARoundWritesWhatChangedAndNothingElse(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), web(), given.CiPipeline(given.CI))
	d.rows.summary = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 1, Running: 1, Progress: "1/1"}, Triggered: 1}
	d.rows.run = *ran(store.StatusRunning)
	mark := func() {
		d.Builds(named("b1"))
		d.Pipelines(named("web"))
	}
	mark()
	require.True(t, d.reports(t))
	require.Equal(t, 2, d.patches.value())
	require.Equal(t, "1/1", d.build(t).Status.Triggers.Progress)
	require.Equal(t, "Running", d.pipeline(t).Status.LastRun.Phase)
	require.Equal(t, 2, d.told(), "Planned and AllTriggered")

	for range 100 {
		mark()
		require.True(t, d.reports(t))
	}
	require.Equal(t, 2, d.patches.value(), "nothing has changed")
	require.Zero(t, d.told())

	d.rows.run.Status = store.StatusFailed
	mark()
	require.True(t, d.reports(t))
	require.Equal(t, 3, d.patches.value())
	require.Equal(t, 1, d.told())

	d.rows.deployed = []v1alpha1.Deployed{{Image: "app", Digest: "sha256:0", BuildName: "b1", At: metav1.Unix(1000, 0)}}
	mark()
	require.True(t, d.reports(t))
	require.Equal(t, 4, d.patches.value())
	require.Equal(t, "app", d.pipeline(t).Status.Deployed[0].Image)
	require.Zero(t, d.told(), "the Workflow tells")
	mark()
	require.True(t, d.reports(t))
	require.Equal(t, 4, d.patches.value(), "nothing has changed")
}

func TestAPipelineWhoseRunIsHeldSaysWhatToDo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, web(), given.CiPipeline(given.CI))
	d.rows.run = *waits(trigger.StageDeploy, v1alpha1.ReasonPerson, "resume it")
	d.rows.decision = &store.LastDecision{BuildName: "b1", Outcome: v1alpha1.OutcomeTriggered, Reason: v1alpha1.ReasonTriggered, Message: "by build b1"}
	d.Pipelines(named("web"))
	require.True(t, d.reports(t))
	require.Equal(t, "False Person: build b1: stage DEPLOY of run 7 waits: resume it", line(d.pipeline(t).Status.Conditions, v1alpha1.ConditionTriggered))
	require.Equal(t, 1, d.told())
	d.Pipelines(named("web"))
	require.True(t, d.reports(t))
	require.Zero(t, d.told(), "told once")
}

func TestPipelinesWaitWhileTriggersWait(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), web(), given.CiPipeline(given.CI))
	d.rows.summary = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 1, Pending: 1}}
	d.busy = true
	d.Builds(named("b1"))
	d.Pipelines(named("web"))
	require.True(t, d.reports(t))
	require.NotNil(t, d.build(t).Status.Triggers)
	require.Empty(t, d.pipeline(t).Status.Conditions)
	require.True(t, woken(d.builds.wake), "the pipeline was forgotten")
	d.busy = false
	require.True(t, d.reports(t))
	require.NotEmpty(t, d.pipeline(t).Status.Conditions)
}

func TestABuildThatRunsIsLeftToItsBuilder(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildRunning))
	d.Builds(named("b1"), named("deleted"))
	require.True(t, d.reports(t))
	require.Zero(t, d.patches.value())
}

func TestABuildThatIsAboutToBePlannedIsNotWritten(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
	d.Builds(named("b1"))
	require.True(t, d.reports(t))
	require.Zero(t, d.patches.value())
}

func TestABuildWithoutItsCiPipelineSaysSo(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded))
	d.Builds(named("b1"))
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionPlanned), "False ParentNotFound")
	require.Equal(t, 1, d.told())
}

func TestAWriteThatFailsIsRepeatedAndTellsNothingYet(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		err      error
		slower   bool
		repeated bool
	}{
		"a conflict":                           {apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("cibuilds").GroupResource(), "b1", errors.New("changed")), false, true},
		"an API server that is down":           {errors.New("connection refused"), true, true},
		"but not of an object that is deleted": {apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("cibuilds").GroupResource(), "b1"), false, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, ended(v1alpha1.BuildSucceeded))
			d.refuse = tc.err
			d.Builds(named("b1"))
			require.Equal(t, tc.slower, !d.reports(t))
			require.Zero(t, d.told(), "an event of a write that was not made")
			d.refuse = nil
			require.True(t, d.reports(t))
			require.Equal(t, tc.repeated, d.patches.value() == 1)
			require.Equal(t, tc.repeated, d.told() == 1)
		})
	}
}

func TestRowsThatCannotBeReadAreReadAgain(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), web())
	d.rows.err = errors.New("database is down")
	d.Builds(named("b1"))
	d.Pipelines(named("web"))
	require.False(t, d.reports(t))
	require.Zero(t, d.patches.value())
	d.rows.err = nil
	require.True(t, d.reports(t))
	require.Equal(t, 2, d.patches.value())
}

func TestAPanicOfARoundLosesNoObject(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
	d.rows.summary, d.rows.panics = &store.Summary{}, true
	d.Builds(named("b1"))
	require.False(t, d.reports(t))
	require.Zero(t, d.patches.value())
	d.rows.panics = false
	require.True(t, d.reports(t))
	require.Equal(t, 1, d.patches.value())
}

func TestChangesThatComeFastAreWrittenTogether(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		busy bool
		want int
	}{
		"twice a second": {want: 20},
		"every two seconds while triggers are waiting": {busy: true, want: 5},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
				d.rows.summary, d.rows.grows, d.busy = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 9}}, true, tc.busy
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				done := make(chan error, 2)
				go func() { done <- d.Start(ctx) }()
				go func() { done <- d.Feed.Start(ctx) }()
				for ctx.Err() == nil {
					d.Builds(named("b1"))
					time.Sleep(10 * time.Millisecond)
				}
				require.NoError(t, errors.Join(<-done, <-done))
				require.InDelta(t, tc.want, d.patches.value(), 1)
			})
		})
	}
}

// changing are rows of which each look finds another run of each pipeline.
type changing struct {
	*tables
	reads int64
	sizes []int // of the looks
}

func (c *changing) LastRuns(_ context.Context, uids []string) (map[string]store.LastRun, error) {
	c.reads++
	c.sizes = append(c.sizes, len(uids))
	runs := map[string]store.LastRun{}
	for _, uid := range uids {
		runs[uid] = store.LastRun{Run: c.reads, BuildName: "b1", Stage: "DEPLOY", Status: store.StatusSubmitted}
	}
	return runs, nil
}

func (c *changing) Deployed(context.Context, []string) (map[string][]v1alpha1.Deployed, error) {
	return nil, nil
}

// What a round has read is as old as the round when its last status is written.
func TestARoundIsAsLargeAsIsWrittenInAboutASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		family := given.CdPipelines(roundSize, "cd")
		var objects []client.Object
		var keys []types.NamespacedName
		for i := range family {
			objects, keys = append(objects, &family[i]), append(keys, named(family[i].Name))
		}
		d := newDesk(t, objects...)
		rows, slow := &changing{tables: d.rows}, 200*time.Millisecond
		d.Rows, d.Events = rows, events.NewFakeRecorder(100*roundSize)
		d.Writer = interceptor.NewClient(d.server, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, part string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			time.Sleep(slow)
			return c.SubResource(part).Patch(ctx, object, patch, options...)
		}})
		round := func() (took, rest time.Duration) {
			d.Pipelines(keys...)
			began := time.Now()
			rest, err := d.runOnce(t.Context())
			require.NoError(t, err)
			return time.Since(began), rest
		}
		for range 6 {
			round()
		}
		for range 10 {
			took, rest := round()
			require.Less(t, took, 2*slowRound)
			require.Less(t, took+max(rest, 0), 2*slowRound, "no time is lost between two rounds")
		}
		slow = 0
		for range 6 {
			round()
		}
		_, rest := round()
		require.Zero(t, rest, "changes that come fast are written together")
		require.Equal(t, []int{roundSize, roundSize}, []int{rows.sizes[0], rows.sizes[len(rows.sizes)-1]})
	})
}

// A build changes with each of its triggers, so that a few builds that are always written
// would have most of the tokens.
func TestWhereTokensAreScarceWhatWaitsLongestIsWrittenFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		family := given.CdPipelines(60, "cd")
		objects := []client.Object{given.CiPipeline(given.CI), ended(v1alpha1.BuildSucceeded)}
		var keys []types.NamespacedName
		for i := range family {
			objects, keys = append(objects, &family[i]), append(keys, named(family[i].Name))
		}
		d := newDesk(t, objects...)
		d.rows.summary, d.rows.grows = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 9}}, true
		var order []string
		d.Rows, d.Events = &changing{tables: d.rows}, events.NewFakeRecorder(1000)
		d.Writer = interceptor.NewClient(d.server, interceptor.Funcs{SubResourcePatch: func(ctx context.Context, c client.Client, part string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			time.Sleep(600 * time.Millisecond)
			return c.SubResource(part).Patch(ctx, object, patch, options...)
		}})
		for range 24 {
			d.Builds(named("b1"))
			d.Pipelines(keys...)
			time.Sleep(time.Millisecond)
			_, err := d.runOnce(t.Context())
			require.NoError(t, err)
			order = append(order, map[bool]string{true: "builds", false: "pipelines"}[d.last == d.builds])
		}
		require.Contains(t, order[len(order)/2:], "builds", "neither is passed over for ever")
		written := 0
		for _, kind := range order {
			if kind == "builds" {
				written++
			}
		}
		require.LessOrEqual(t, written, len(order)/2, "a build that changes all the time leaves the tokens to the others")
	})
}

func TestAReporterWritesSoonAndEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, ended(v1alpha1.BuildSucceeded))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- d.Start(ctx) }()
		time.Sleep(time.Minute)
		d.Builds(named("b1"))
		synctest.Wait()
		require.Zero(t, d.patches.value(), "what changes before the feed has begun would be missed")
		fed := make(chan error, 1)
		go func() { fed <- d.Feed.Start(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, d.patches.value())
		d.rows.summary = &store.Summary{}
		d.Builds(named("b1"))
		synctest.Wait()
		require.Equal(t, 2, d.patches.value(), "a change after a quiet time is written at once")
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, <-fed)
	})
}

func TestAPipelineThatChangesMarksWhatHangsBelowItOnce(t *testing.T) {
	t.Parallel()
	objects := []client.Object{
		given.CdPipeline("child"), given.CdPipeline("grandchild", given.BelowCd("child")),
		given.CdPipeline("x", given.BelowCd("y")), given.CdPipeline("y", given.BelowCd("x")), given.CdPipeline("z", given.BelowCd("y")),
		given.CdPipeline("elsewhere", given.BelowCi(given.CI), given.InNamespace("other")),
	}
	for sentence, tc := range map[string]struct {
		change func(*Reporter)
		want   []string
	}{
		"a CiPipeline marks every descendant": {
			func(r *Reporter) { r.ciPipelineChanged(t.Context(), named(given.CI)) }, []string{"child", "grandchild"},
		},
		"a CdPipeline marks itself too": {
			func(r *Reporter) { r.cdPipelineChanged(t.Context(), named("child")) }, []string{"child", "grandchild"},
		},
		"a ring is walked once": {
			func(r *Reporter) { r.cdPipelineChanged(t.Context(), named("x")) }, []string{"x", "y", "z"},
		},
		"one that is gone marks itself": {
			func(r *Reporter) { r.cdPipelineChanged(t.Context(), named("gone")) }, []string{"gone"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, objects...)
			tc.change(d.Reporter)
			var names []string
			for _, key := range d.pipelines.take(100) {
				names = append(names, key.Name)
			}
			require.ElementsMatch(t, tc.want, names)
		})
	}
}

func TestAnUpdateByOurOwnStatusWriteNeedsNoReport(t *testing.T) {
	t.Parallel()
	before, build := web(), ended(v1alpha1.BuildRunning)
	written, respecified := before.DeepCopy(), before.DeepCopy()
	written.Status.LastRun, written.ResourceVersion = &v1alpha1.LastRun{Phase: "Running"}, "2"
	respecified.Generation = 2
	reported, finished := build.DeepCopy(), ended(v1alpha1.BuildSucceeded)
	reported.Status.Triggers = &v1alpha1.TriggerSummary{Total: 1}
	require.False(t, needsReport(before, written))
	require.True(t, needsReport(before, respecified))
	require.False(t, needsReport(build, reported))
	require.True(t, needsReport(build, finished))
}

func TestBuildsAreReportedWhenTheBacklogGateMoves(t *testing.T) {
	t.Parallel()
	d := newDesk(t, ended(v1alpha1.BuildSucceeded), given.CiPipeline(given.CI))
	d.rows.summary = &store.Summary{Triggers: v1alpha1.TriggerSummary{Total: 3, Pending: 3}}
	d.shut = true
	d.rows.err = errors.New("database is down")
	d.GateMoved()
	require.False(t, d.reports(t))
	d.rows.err = nil
	require.True(t, d.reports(t), "what could not be read is read again")
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "BacklogFull")
	d.shut = false
	d.GateMoved()
	require.True(t, d.reports(t))
	require.Contains(t, line(d.build(t).Status.Conditions, v1alpha1.ConditionTriggered), "TriggersPending")
}
