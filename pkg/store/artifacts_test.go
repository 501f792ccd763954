package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// tagged is the n-th image under another tag.
func tagged(n int, tag string) v1alpha1.Artifact {
	artifact := given.Artifact(n)
	artifact.Image = strings.TrimSuffix(artifact.Image, "1.0") + tag
	return artifact
}

func TestTwoTagsOfOneDigestAreOneRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	elsewhere := given.Artifact(0)
	elsewhere.Image = "mirror.example.com:5000/app-000:1.0"
	artifacts := []v1alpha1.Artifact{given.Artifact(0), tagged(0, "latest"), elsewhere, given.Artifact(1), tagged(0, "stable")}
	family := given.FamilyOf(given.CdPipeline("web"), given.CdPipeline("below", given.BelowCd("web")))
	plannedBuild(t, s, given.Build("b1"), artifacts, family)
	require.Equal(t, []string{
		artifacts[0].Image + fmt.Sprintf(" [%s %s]", artifacts[1].Image, artifacts[4].Image), elsewhere.Image + " []", artifacts[3].Image + " []",
	}, table(t, s, "SELECT a.image, w.also FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id ORDER BY w.id"))
	require.Equal(t, []string{
		artifacts[0].Image + " Triggered by build b1", artifacts[1].Image + " SameRun part of the run of " + artifacts[0].Image,
		elsewhere.Image + " Triggered by build b1", artifacts[3].Image + " Triggered by build b1",
		artifacts[4].Image + " SameRun part of the run of " + artifacts[0].Image,
	}, table(t, s, "SELECT image, reason, message FROM trigger_decision WHERE pipeline = 'web' ORDER BY id"))
	require.Equal(t, v1alpha1.TriggerSummary{Total: 3, Pending: 3, Waiting: 3, Progress: "0/3"}, summaryOf(t, s, "b1").Triggers)

	endActive(t, s, store.StatusSucceeded)
	require.Equal(t, []v1alpha1.Artifact{artifacts[0], artifacts[1], artifacts[4]}, unfollowed(t, s)[0].Artifacts)
	followAll(t, s, family)
	require.Equal(t, 3, count(t, s, "cd_workflow WHERE pipeline = 'below'"))
	require.Equal(t, 5, count(t, s, "trigger_decision WHERE pipeline = 'below' AND outcome = 'Triggered'"))
	deployed, err := s.Deployed(t.Context(), []string{string(given.UID("web"))})
	require.NoError(t, err)
	require.Len(t, deployed[string(given.UID("web"))], 3, "one for each repository")
}

func TestOfTwoTagsTheFirstThatPassesTheFilterNamesTheRun(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifacts := []v1alpha1.Artifact{tagged(0, "latest"), given.Artifact(0), tagged(0, "1.0.0")}
	family := given.FamilyOf(given.CdPipeline("web", given.Filter("!artifact.image.endsWith('latest')")))
	plannedBuild(t, s, given.Build("b1"), artifacts, family)
	require.Equal(t, []string{artifacts[1].Image + fmt.Sprintf(" [%s]", artifacts[2].Image)},
		table(t, s, "SELECT a.image, w.also FROM cd_workflow w JOIN ci_artifact a ON a.id = w.ci_artifact_id"))
	require.Equal(t, "b1 "+artifacts[1].Image, claim(t, s, "w", 1)[0].Inputs.Build+" "+artifacts[1].Image)
}

func TestARunOfAllArtifactsIsGivenAll(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	artifacts := given.Artifacts(4)
	family := given.FamilyOf(
		given.CdPipeline("web", given.WithPre, given.AllArtifacts, given.Filter(fmt.Sprintf("artifact.image != %q", artifacts[2].Image))),
		given.CdPipeline("below", given.AllArtifacts, given.BelowCd("web")), given.CdPipeline("each", given.BelowCd("web")))
	plannedBuild(t, s, given.Build("b1"), artifacts, family)
	passed := []v1alpha1.Artifact{artifacts[0], artifacts[1], artifacts[3]}
	pre := claim(t, s, "w", 1)[0]
	identity := trigger.Identity{BuildUID: given.Build("b1").UID, PipelineUID: string(given.UID("web")), Run: 1, Stage: trigger.StagePre}
	require.Equal(t, identity.Hash(), pre.Identity, "no image and no digest is part of it")
	require.Equal(t, passed, pre.Inputs.Artifacts)
	require.True(t, pre.Inputs.All)
	require.NotContains(t, table(t, s, "SELECT inputs::text FROM task")[0], artifacts[1].Image, "what may be large is read at the claim")

	observe(t, s, pre, store.StatusSucceeded)
	ended := unfollowed(t, s)
	require.Len(t, ended, 1)
	require.True(t, ended[0].All)
	require.Equal(t, passed, ended[0].Artifacts)
	followAll(t, s, family)
	require.Equal(t, passed, endAll(t, s, store.StatusSucceeded)[0].Inputs.Artifacts)
	followAll(t, s, family)
	require.Equal(t, 1, count(t, s, "cd_workflow WHERE pipeline = 'below'"))
	require.Equal(t, 3, count(t, s, "cd_workflow WHERE pipeline = 'each'"))
	drain(t, s, family, store.StatusSucceeded)
	require.Zero(t, count(t, s, "cd_workflow WHERE outcome <> 'Succeeded'"))
}

// The pipeline above has one run for each artifact, of which any may end first.
func TestARunOfAllArtifactsBelowRunsOfEach(t *testing.T) {
	t.Parallel()
	family := given.FamilyOf(given.CdPipeline("above"), given.CdPipeline("web", given.AllArtifacts, given.BelowCd("above")))
	for sentence, together := range map[string]bool{"that end together": true, "that end one after the other": false} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			plannedBuild(t, s, given.Build("b1"), given.Artifacts(2), family)
			for _, one := range claim(t, s, "w", 2) {
				observe(t, s, one, store.StatusSucceeded)
				if !together {
					followAll(t, s, family)
				}
			}
			followAll(t, s, family)
			want, artifacts := "[Succeeded]", [][]v1alpha1.Artifact{given.Artifacts(2)}
			if !together {
				want, artifacts = "[Succeeded Succeeded]", [][]v1alpha1.Artifact{{given.Artifact(0)}, {given.Artifact(1)}}
			}
			var got [][]v1alpha1.Artifact
			for _, run := range claim(t, s, "w", len(artifacts)) {
				got = append(got, run.Inputs.Artifacts)
			}
			require.ElementsMatch(t, artifacts, got, "what came together")
			drain(t, s, family, store.StatusSucceeded)
			require.Equal(t, want, fate(t, s, "b1", "web"))
			require.Equal(t, 2, count(t, s, "trigger_decision WHERE pipeline = 'web' AND outcome = 'Triggered'"))
		})
	}
}

// What a run is given is the same at each of its stages, whatever has ended above meanwhile.
func TestARunOfAllArtifactsIsGivenWhatCameTogether(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.FamilyOf(given.CdPipeline("above"), given.CdPipeline("web", given.WithPre, given.AllArtifacts, given.BelowCd("above")))
	artifacts := append(given.Artifacts(2), tagged(0, "latest"))
	plannedBuild(t, s, given.Build("b1"), artifacts, family)
	above := claim(t, s, "w", 2)
	observe(t, s, above[0], store.StatusSucceeded)
	followAll(t, s, family)
	pre := claim(t, s, "w", 1)[0]
	observe(t, s, above[1], store.StatusSucceeded)
	followAll(t, s, family)
	observe(t, s, pre, store.StatusSucceeded)
	first := []v1alpha1.Artifact{artifacts[0], artifacts[2]}
	require.Equal(t, first, pre.Inputs.Artifacts)
	require.Equal(t, first, unfollowed(t, s)[0].Artifacts)
	followAll(t, s, family)
	given := map[string][]v1alpha1.Artifact{}
	for _, one := range claim(t, s, "w", 2) {
		given[string(one.Inputs.Stage)] = one.Inputs.Artifacts
	}
	require.Equal(t, map[string][]v1alpha1.Artifact{"DEPLOY": first, "PRE": {artifacts[1]}}, given)
}
