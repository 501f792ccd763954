package delivery

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
)

func clientKey(object client.Object) client.ObjectKey { return client.ObjectKeyFromObject(object) }

func build(name string) *v1alpha1.CiBuild {
	return &v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.CiBuildSpec{PipelineRef: v1alpha1.PipelineReference{Name: "shop"}}}
}

var artifact = v1alpha1.Artifact{Image: "registry.example.com/shop:1", Digest: digest}

func TestAReportTellsABuildHowItStands(t *testing.T) {
	t.Parallel()
	s := newScene(t, mapped(), pipeline("shop", "https://github.com/team/shop", ""), build("shop-1"))
	require.Equal(t, "Reported|Reported shop-1 as Running", s.outcome(s.send(`{"build":"shop-1","phase":"in_progress"}`)))
	require.Equal(t, "Reported|Reported shop-1 as Running before", s.outcome(s.send(`{"build":"shop-1","phase":"pending"}`)), "an event that came late")
	require.Contains(t, s.outcome(s.send(`{"build":"shop-1","phase":"success"}`)), "Refused|Refused: CiBuild shop-1 has no artifacts")
	succeeded := `{"build":"shop-1","phase":"success","image":"registry.example.com/shop:1@` + digest + `"}`
	require.Equal(t, "Reported|Reported shop-1 as Succeeded", s.outcome(s.send(succeeded)))
	require.Equal(t, []v1alpha1.Artifact{artifact}, s.build("shop-1").Status.Artifacts)
	require.Equal(t, "Reported|Reported shop-1 as Succeeded before", s.outcome(s.send(succeeded+" ")))
	require.Equal(t, "Ignored|Ignored: CiBuild shop-1 has ended as Succeeded", s.outcome(s.send(`{"build":"shop-1","phase":"failed"}`)))
}

func TestAReportCreatesTheBuildThatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newScene(t, mapped(), pipeline("shop", "https://github.com/team/shop", ""))
	require.Equal(t, "Reported|Reported ci-7 as Failed", s.outcome(s.send(`{"pipeline":"shop","build":"ci-7","phase":"failed","revision":"`+commit+`"}`)))
	require.Equal(t, commit, s.build("ci-7").Spec.Revision)
	require.Equal(t, v1alpha1.BuildFailed, s.build("ci-7").Status.Phase)
	require.Regexp(t, `^Reported\|Reported shop-[a-z2-7]{16} as Succeeded$`, s.outcome(s.send(`{"pipeline":"shop","image":"registry.example.com/shop:1@`+digest+`"}`)))
	require.Regexp(t, `^Built\|Built shop-[a-z2-7]{16}$`, s.outcome(s.send(`{"pipeline":"shop"}`)), "which is to be built")
}

func TestAReportThatIsRefusedCreatesNoBuild(t *testing.T) {
	t.Parallel()
	s := newScene(t, mapped(), pipeline("shop", "https://github.com/team/shop", ""))
	for body, want := range map[string]string{
		`{"pipeline":"shop","phase":"success"}`:                                                                             "has no artifacts, and cannot have Succeeded without",
		`{"pipeline":"shop","build":"ci-8","phase":"success"}`:                                                              "CiBuild ci-8 has no artifacts",
		`{"pipeline":"shop","phase":"success","image":"registry.example.com/shop:1@sha256:zz"}`:                             "is no digest",
		`{"pipeline":"shop","phase":"failed","image":"registry.example.com/UPPER:1@` + digest + `"}`:                        "is no image",
		`{"pipeline":"shop","build":"ci-9","phase":"running","image":"https://registry.example.com/shop:1@` + digest + `"}`: "is no image",
	} {
		outcome := s.outcome(s.send(body))
		require.Contains(t, outcome, "Refused|Refused: ", body)
		require.Contains(t, outcome, want, body)
	}
	var builds v1alpha1.CiBuildList
	require.NoError(t, s.admin.List(t.Context(), &builds, client.InNamespace(s.namespace)))
	require.Empty(t, builds.Items)
	require.Equal(t, "Reported|Reported ci-8 as Succeeded", s.outcome(s.send(`{"pipeline":"shop","build":"ci-8","phase":"success","image":"registry.example.com/shop:1@`+digest+`"}`)))
}

func TestAReportThatIsAboutNothingSaysWhy(t *testing.T) {
	t.Parallel()
	own := pipeline("own", "https://github.com/team/shop", "")
	own.Spec.Workflow = &v1alpha1.BuildWorkflow{TemplateRef: v1alpha1.TemplateReference{Name: "build"}}
	ownBuild := build("own-1")
	ownBuild.Spec.PipelineRef.Name = "own"
	s := newScene(t, mapped(), own, pipeline("shop", "https://github.com/team/shop", ""), build("shop-1"), ownBuild)
	for body, want := range map[string]string{
		`{"build":"none","phase":"failed"}`:                     "NoMatch|NoMatch: there is no CiBuild none",
		`{"build":"No Name","phase":"failed"}`:                  `NoMatch|NoMatch: "No Name" is no name that a CiBuild can have`,
		`{"pipeline":"none","phase":"failed"}`:                  "NoMatch|NoMatch: there is no CiPipeline none",
		`{"pipeline":"own","build":"shop-1","phase":"failed"}`:  "Refused|Refused: CiBuild shop-1 is one of shop, not of own",
		`{"build":"own-1","phase":"failed"}`:                    "Refused|Refused: builds of own run here: their Workflows alone tell how they stand",
		`{"pipeline":"own","phase":"failed"}`:                   "Refused|Refused: builds of own run here: their Workflows alone tell how they stand",
		`{"build":"shop-1","phase":"banana"}`:                   `Failed|Failed: spec.mapping.phase: yields "banana", want pending, running, succeeded, failed, error or cancelled`,
		`{"build":"shop-1","image":"registry.example.com/A:1"}`: "Reported|Reported shop-1 as Pending before",
	} {
		require.Equal(t, want, s.outcome(s.send(body)), body)
	}
	require.Contains(t, s.outcome(s.send(`{"build":"shop-1","image":"registry.example.com/UPPER:1@`+digest+`"}`)), "Refused|Refused: ")
	require.Equal(t, v1alpha1.BuildPending, s.build("shop-1").Status.Phase)
}

func TestAGitLabPipelineEndsTheBuildWhoseJobsReportedTheirArtifacts(t *testing.T) {
	t.Parallel()
	s := newScene(t, receiver("hook", v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitLab}), pipeline("shop", "https://git.example.com/team/shop", ""), build("shop-1"))
	reported := s.build("shop-1")
	reported.Status.Artifacts = []v1alpha1.Artifact{artifact}
	require.NoError(t, s.admin.Status().Update(t.Context(), &reported))
	body := func(project string) string {
		return `{"object_kind":"pipeline","object_attributes":{"status":"success","variables":[{"key":"PENSTOCK_BUILD","value":"shop-1"}]},"project":{"git_http_url":"` + project + `"}}`
	}
	require.Equal(t, "Refused|Refused: CiPipeline shop has another source than git.example.com/team/web", s.outcome(s.send(body("https://git.example.com/team/web.git"), "X-Gitlab-Event", "Pipeline Hook")))
	require.Equal(t, "Reported|Reported shop-1 as Succeeded", s.outcome(s.send(body("https://git.example.com/Team/Shop.git"), "X-Gitlab-Event", "Pipeline Hook")))
	require.Equal(t, []v1alpha1.Artifact{artifact}, s.build("shop-1").Status.Artifacts)
}

func baseImage(name, image string) *v1alpha1.BaseImage {
	return &v1alpha1.BaseImage{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.BaseImageSpec{Image: image}}
}

func TestAPushedImageHasBaseImagesChecked(t *testing.T) {
	t.Parallel()
	s := newScene(t, receiver("hook", v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverUnsigned}),
		baseImage("debian", "debian:12"), baseImage("old", "debian:11"), baseImage("web", "quay.io/team/web:latest"))
	wanted := &checks{}
	s.config.Checks = wanted
	require.Equal(t, "CheckWanted|CheckWanted debian", s.outcome(s.send(`{"push_data":{"tag":"12"},"repository":{"repo_name":"debian"}}`)))
	require.Equal(t, "NoMatch|NoMatch: no BaseImage here is quay.io/team/web:1", s.outcome(s.send(`{"docker_url":"quay.io/team/web","updated_tags":["1"]}`)))
	require.Equal(t, "CheckWanted|CheckWanted web", s.outcome(s.send(`{"docker_url":"quay.io/team/web","updated_tags":["1","latest"]}`)))
	require.Equal(t, []string{s.namespace + " index.docker.io/library/debian 12", s.namespace + " quay.io/team/web latest"}, wanted.wanted)
}

func TestAPushedImageOfAnyRegistryIsAboutTheTargets(t *testing.T) {
	t.Parallel()
	s := newScene(t, receiver("hook", v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverHarbor, Targets: []v1alpha1.ReceiverTarget{{Kind: "BaseImage", Name: "one"}, {Kind: "BaseImage", Name: "two"}}}),
		baseImage("one", "a.example.com/team/web:1"), baseImage("two", "b.example.com:5000/team/web:2"), baseImage("other", "c.example.com/team/web:1"))
	push := func(tag string) string {
		return `{"type":"PUSH_ARTIFACT","event_data":{"resources":[{"tag":"` + tag + `","digest":"` + digest + `"}],"repository":{"repo_full_name":"team/web"}}}`
	}
	require.Equal(t, "CheckWanted|CheckWanted one", s.outcome(s.send(push("1"))))
	require.Equal(t, "CheckWanted|CheckWanted one, two", s.outcome(s.send(push(digest))), "which tag it has is not said")
}

func TestWhatFailsForAReasonThatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	first, away := s.push("refs/heads/main"), true
	second := s.push("refs/heads/next")
	controller, err := local.NewClient(env.Penstock)
	require.NoError(t, err)
	s.config.Writer = interceptor.NewClient(controller, interceptor.Funcs{
		Create: func(ctx context.Context, inner client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if away {
				return errors.New("the API server is away")
			}
			return inner.Create(ctx, object, options...)
		},
	})
	worker := s.worker()
	_, err = worker.runOnce(t.Context())
	require.NoError(t, err)
	worker.working.Wait()
	var message string
	row := s.rows.Pool().QueryRow(t.Context(), "SELECT message FROM webhook_delivery WHERE id = $1 AND status = 'Received' AND due_at > now()", first)
	require.NoError(t, row.Scan(&message))
	require.Contains(t, message, "it is tried again: create CiBuild shop-")
	away = false
	_, err = s.rows.Pool().Exec(t.Context(), "UPDATE webhook_delivery SET due_at = now()")
	require.NoError(t, err)
	require.Contains(t, s.outcome(second), "Built|")
	require.Len(t, s.builds(), 2)

	_, err = s.rows.Pool().Exec(t.Context(), "UPDATE webhook_delivery SET attempts = 13")
	require.NoError(t, err)
	away = true
	last := s.push("refs/heads/last")
	_, err = s.rows.Pool().Exec(t.Context(), "UPDATE webhook_delivery SET attempts = 13")
	require.NoError(t, err)
	require.Contains(t, s.outcome(last), "Failed|Failed: given up after 14 attempts: create CiBuild")
}

func TestTheWorkerStartsAndStops(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", ""))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	worker := s.worker()
	go func() { ended <- worker.Start(ctx) }()
	for range 20 {
		s.push("refs/heads/main")
	}
	require.Eventually(t, func() bool { return len(s.builds()) == 20 }, patience, look)
	stop()
	require.NoError(t, <-ended)
}
