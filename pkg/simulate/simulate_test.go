package simulate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/simulate"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// noon is a Monday.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// built is a CiBuild that was created so many minutes after noon.
func built(name string, minute int, with ...func(*v1alpha1.CiBuild)) v1alpha1.CiBuild {
	build := given.CiBuild(name)
	build.CreationTimestamp = metav1.NewTime(noon.Add(time.Duration(minute) * time.Minute))
	for _, change := range with {
		change(build)
	}
	return *build
}

// last is the pipeline's newest run.
func last(build, phase string) func(*v1alpha1.CdPipeline) {
	return func(p *v1alpha1.CdPipeline) {
		p.Status.LastRun = &v1alpha1.LastRun{Run: 7, BuildName: build, Phase: phase}
	}
}

func decider(t *testing.T) trigger.Decider {
	t.Helper()
	filters, err := trigger.NewFilters()
	require.NoError(t, err)
	return trigger.Decider{Filters: filters}
}

// lines are what would be decided, and what is to be said.
func lines(t *testing.T, asked simulate.Question) (decided, notes []string) {
	t.Helper()
	simulated, err := simulate.Build(decider(t), asked)
	require.NoError(t, err)
	for _, pipeline := range simulated.Pipelines {
		line := pipeline.Pipeline + ": " + pipeline.Decided
		if pipeline.Waits != "" {
			line += "; waits for " + pipeline.Waits
		}
		decided = append(decided, line)
	}
	return decided, simulated.Notes
}

func TestASimulationDecidesAsPlanningDoes(t *testing.T) {
	t.Parallel()
	nightly := func(p *v1alpha1.CdPipeline) {
		p.Spec.Windows = []v1alpha1.Window{{Kind: v1alpha1.WindowAllow, Schedule: "0 22 * * *", Duration: metav1.Duration{Duration: time.Hour}}}
	}
	const older = "a newer build went first in this pipeline: to deploy this one all the same, create a RunRequest with action Trigger and allowOlder"
	for sentence, tc := range map[string]struct {
		family given.Family
		want   []string
	}{
		"a pipeline and what is below it": {
			given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web"))),
			[]string{"web: Triggered by build b2", "below: Waiting, ParentRunning: waits for CdPipeline web to succeed"},
		},
		"suspended": {given.FamilyOf(given.CdPipeline("web", given.Suspended)), []string{"web: Skipped, Suspended: spec.suspend is true"}},
		"held": {given.FamilyOf(given.CdPipeline("web", given.Held)), []string{
			"web: Triggered by build b2; waits for spec.hold to be false: spec.hold of the pipeline is true: set it to false to go on",
		}},
		"a stage that a person starts": {given.FamilyOf(given.CdPipeline("web", given.ManualStage(trigger.StageDeploy))), []string{
			"web: Triggered by build b2; waits for a person (RunRequest with action Resume): the trigger of stage DEPLOY is Manual: create a RunRequest with action Resume to go on",
		}},
		"a window that is closed": {given.FamilyOf(given.CdPipeline("web", nightly)), []string{
			"web: Triggered by build b2; waits for its windows to open: spec.windows let nothing start before 2026-11-30T22:00:00Z: wait, or create a RunRequest with action Resume",
		}},
		"an older build runs": {given.FamilyOf(given.CdPipeline("web", last("b1", "Running"))), []string{
			"web: Triggered by build b2; waits for the turn of another build to end: build b1 has its turn in this pipeline: this one goes on by itself when that has ended",
		}},
		"an older build runs, and all may": {given.FamilyOf(given.CdPipeline("web", last("b1", "Running"), given.Concurrency(v1alpha1.ConcurrencyAllow))), []string{
			"web: Triggered by build b2",
		}},
		"an older build waits for a person": {given.FamilyOf(given.CdPipeline("web", last("b1", "Held"))), []string{"web: Triggered by build b2"}},
		"an older build has ended":          {given.FamilyOf(given.CdPipeline("web", last("b1", "Failed"))), []string{"web: Triggered by build b2"}},
		"a newer build has had its turn": {
			given.FamilyOf(given.CdPipeline("web", last("b3", "Succeeded")), given.CdPipeline("below", given.BelowCd("web")), given.CdPipeline("other")),
			[]string{
				"other: Triggered by build b2", "web: Skipped, Superseded: " + older,
				"below: Skipped, ParentNotTriggered: parent CdPipeline web was not triggered: Superseded",
			},
		},
		"a newer build that is gone is not known": {given.FamilyOf(given.CdPipeline("web", last("gone", "Succeeded"))), []string{"web: Triggered by build b2"}},
		"a pipeline of another namespace":         {given.FamilyOf(given.CdPipeline("web", given.InNamespace("another"))), nil},
	} {
		objects := &simulate.Objects{
			CiPipelines: []v1alpha1.CiPipeline{*given.CiPipeline(given.CI)}, CdPipelines: tc.family,
			Builds: []v1alpha1.CiBuild{built("b1", 1), built("b2", 2), built("b3", 3)},
		}
		got, _ := lines(t, simulate.Question{Objects: objects, Build: "b2", Now: noon, Artifacts: given.Artifacts(1)})
		require.Equal(t, tc.want, got, sentence)
	}
}

func TestASimulationTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	objects := &simulate.Objects{
		CiPipelines: []v1alpha1.CiPipeline{*given.CiPipeline(given.CI)},
		CdPipelines: given.FamilyOf(given.CdPipeline("lost", given.BelowCd("nothing"))),
		Builds:      []v1alpha1.CiBuild{built("b1", 1, func(b *v1alpha1.CiBuild) { b.Status.Phase = v1alpha1.BuildFailed })},
	}
	got, notes := lines(t, simulate.Question{Objects: objects, Build: "b1", Now: noon})
	require.Empty(t, got)
	require.Equal(t, []string{
		"the build has no artifacts yet: filters are given one with an empty image and digest",
		"the build has ended as Failed: what was decided is told by kubectl penstock explain build b1",
		"no CdPipeline hangs below CiPipeline ci",
		`CdPipeline lost: ParentNotFound: CdPipeline "nothing" does not exist in this namespace: create it, or correct spec.parentRef`,
	}, notes)
	for _, missing := range []simulate.Question{
		{Objects: objects, Build: "b9"}, {Objects: &simulate.Objects{Builds: objects.Builds}, Build: "b1"},
	} {
		_, err := simulate.Build(decider(t), missing)
		var notFound *simulate.NotFoundError
		require.ErrorAs(t, err, &notFound)
	}
}
