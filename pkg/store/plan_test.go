package store_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAPlanHasARunForEveryChildThatIsTriggered(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := append(given.CdPipelines(50, "web"),
		*given.CdPipeline("off", given.Suspended), *given.CdPipeline("below", given.BelowCd("web-000")))
	planned(t, s, "b1", family)
	require.Equal(t, 1, count(t, s, "ci_artifact"))
	require.Equal(t, 50, count(t, s, "cd_workflow WHERE run = 1 AND outcome IS NULL AND cause = 'Webhook'"))
	require.Equal(t, 50, count(t, s, "task WHERE status = 'Pending' AND inputs->>'stage' = 'DEPLOY' AND attempt = 0"))
	require.Equal(t, 50, count(t, s, "turn WHERE state = 'Active' AND taken_at IS NOT NULL"))
	require.Equal(t, []string{"Skipped Suspended 1", "Triggered Triggered 50", "Waiting ParentRunning 1"},
		table(t, s, "SELECT outcome, reason, count(*) FROM trigger_decision GROUP BY 1, 2 ORDER BY 1"))
}

func TestAPlanHasEveryStageAndStartsTheFirst(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("a", given.WithPre), given.CdPipeline("b", given.WithPost)))
	require.Equal(t, []string{"a PRE Pending ", "a DEPLOY Held StageBefore", "b DEPLOY Pending ", "b POST Held StageBefore"}, table(t, s,
		"SELECT owner_name, stage, status, reason FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id ORDER BY r.id"))
}

func TestPlanningAgainWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	plan := planOf(t, given.Build("b1"), given.Artifacts(2), given.CdPipelines(50, "web"))
	done, err := s.Plan(t.Context(), plan)
	require.NoError(t, err)
	require.True(t, done)
	before := fingerprint(t, s)

	changed := planOf(t, given.Build("b1"), given.Artifacts(3), given.CdPipelines(60, "web"))
	for _, again := range []store.BuildPlan{plan, changed} {
		done, err = s.Plan(t.Context(), again)
		require.NoError(t, err)
		require.False(t, done)
	}
	require.Equal(t, before, fingerprint(t, s))
}

func TestOfManyPlansAtOnceOneIsCommitted(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	plan := planOf(t, given.Build("b1"), given.Artifacts(1), given.CdPipelines(50, "web"))
	var won atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			done, err := s.Plan(t.Context(), plan)
			if err != nil {
				t.Error(err)
			}
			if done {
				won.Add(1)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, won.Load())
	require.Equal(t, 50, count(t, s, "task"))
}

func TestABuildWithoutChildrenIsPlanned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", nil)
	uid := given.Build("b1").UID
	done, err := s.IsPlanned(t.Context(), uid)
	require.NoError(t, err)
	require.True(t, done)
	known, err := s.Planned(t.Context(), []string{"other", uid})
	require.NoError(t, err)
	require.Equal(t, []string{uid}, known)
	require.Zero(t, count(t, s, "trigger_decision"))
}

func TestEveryArtifactRunsEveryChild(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	done, err := s.Plan(t.Context(), planOf(t, given.Build("b1"), given.Artifacts(200), given.CdPipelines(2, "web")))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, 200, count(t, s, "ci_artifact"))
	require.Equal(t, 400, count(t, s, "(SELECT DISTINCT workflow_name FROM task) names"))
	require.Equal(t, 400, count(t, s, "trigger_decision WHERE outcome = 'Triggered'"))
}

func TestTextThatPostgresRefusesIsMended(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	build := given.Build("b1")
	build.Revision = "re\x00vision\xff"
	plan := planOf(t, build, given.Artifacts(1), given.CdPipelines(1, "web"))
	plan.Decisions[0].Message = "a\x00b\xc3\x28c"
	_, err := s.Plan(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, []string{"a\uFFFDb\uFFFD(c re\uFFFDvision\uFFFD re\uFFFDvision\uFFFD"},
		table(t, s, "SELECT d.message, b.revision, t.inputs->>'revision' FROM trigger_decision d JOIN ci_build b USING (build_uid), task t"))

	id := claim(t, s, "w", 1)[0]
	_, err = s.Complete(t.Context(), "w", []store.Completion{
		{ID: id.ID, Attempt: 1, Status: store.StatusPending, Message: "x\x00\xff"},
	})
	require.NoError(t, err)
	_, err = s.Observe(t.Context(), []store.Observation{
		{Namespace: id.Namespace, WorkflowName: id.WorkflowName, Identity: id.Identity, Status: store.StatusRunning, Message: "y\x00\xff"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"y\uFFFD\uFFFD"}, table(t, s, "SELECT message FROM task"))
}

func TestABuildThatFailedHasDecisionsAlone(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	build := given.Build("b1")
	build.Phase = v1alpha1.BuildFailed
	done, err := s.Plan(t.Context(), planOf(t, build, nil, given.CdPipelines(3, "web")))
	require.NoError(t, err)
	require.True(t, done)
	require.Zero(t, count(t, s, "ci_artifact"))
	require.Zero(t, count(t, s, "cd_workflow"))
	require.Equal(t, []string{"Skipped BuildNotSucceeded   3"},
		table(t, s, "SELECT outcome, reason, image, digest, count(*) FROM trigger_decision GROUP BY 1, 2, 3, 4"))
}

func TestNamesAndImagesOfGreatestLengthFit(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	build := given.Build(strings.Repeat("b", 253))
	artifact := v1alpha1.Artifact{Image: strings.Repeat("i", 512), Digest: "sha512:" + strings.Repeat("0", 128)}
	family := given.FamilyOf(given.CdPipeline(strings.Repeat("p", 253)))
	done, err := s.Plan(t.Context(), planOf(t, build, []v1alpha1.Artifact{artifact}, family))
	require.NoError(t, err)
	require.True(t, done)
	got := claim(t, s, "w", 1)[0]
	require.Equal(t, artifact.Image, got.Inputs.Image)
	require.Equal(t, family[0].Name, got.Owner.Name)
	require.Equal(t, build.Name, got.Inputs.Build)
	require.LessOrEqual(t, len(got.WorkflowName), 63)
}

func TestAPlanThatIsRefusedWritesNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	plan := planOf(t, given.Build("b1"), given.Artifacts(1), given.CdPipelines(3, "web"))
	plan.Decisions[2].Pipeline.Name = "not\x00storable"
	_, err := s.Plan(t.Context(), plan)
	require.Error(t, err)
	require.True(t, store.IsInvalid(err), err)
	require.True(t, store.IsInvalid(fmt.Errorf("plan: %w", err)))
	require.Empty(t, fingerprint(t, s))
}
