package argo

import (
	"context"
	"errors"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// ciPipeline is one that runs the template.
func ciPipeline(with ...func(*v1alpha1.CiPipeline)) *v1alpha1.CiPipeline {
	pipeline := given.CiPipeline("shop", append([]func(*v1alpha1.CiPipeline){given.Builds(given.Template)}, with...)...)
	pipeline.UID = given.UID("shop")
	return pipeline
}

// ciBuild is a build of it, without a revision.
func ciBuild(with ...func(*v1alpha1.CiBuild)) *v1alpha1.CiBuild {
	build := given.CiBuild("shop-1", given.BuildOf("shop"))
	build.UID, build.Spec.Revision = given.UID("shop-1"), ""
	for _, change := range with {
		change(build)
	}
	return build
}

// claimOfBuild is the claimed task of the build.
func claimOfBuild(build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline) store.Claim {
	identity := store.BuildIdentity(string(build.UID), string(pipeline.UID))
	return store.Claim{
		ID: 42, Attempt: 1, Kind: store.KindCi, Namespace: build.Namespace,
		Owner:    store.Owner{Kind: "CiPipeline", Name: pipeline.Name, UID: string(pipeline.UID)},
		Identity: identity.Hash(), WorkflowName: trigger.WorkflowName(pipeline.Name, identity),
		Inputs: trigger.Inputs{Build: build.Name, BuildUID: string(build.UID), Stage: trigger.StageBuild},
	}
}

// builtBy is what Builds makes of a build.
func builtBy(t *testing.T, builds Builds, build *v1alpha1.CiBuild, pipeline *v1alpha1.CiPipeline, others ...client.Object) (*wfv1.Workflow, error) {
	t.Helper()
	server := newServer(t, append(others, build, pipeline)...)
	return builds.Build(t.Context(), server, claimOfBuild(build, pipeline))
}

func ofSource(url, revision string) func(*v1alpha1.CiPipeline) {
	return func(p *v1alpha1.CiPipeline) { p.Spec.Source = &v1alpha1.Source{URL: url, Revision: revision} }
}

func givesBuilds(name, value string) func(*v1alpha1.CiPipeline) {
	return func(p *v1alpha1.CiPipeline) {
		p.Spec.Workflow.Parameters = append(p.Spec.Workflow.Parameters, v1alpha1.Parameter{Name: name, Value: &value})
	}
}

func ofRevision(revision string) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) { build.Spec.Revision = revision }
}

func basedOn(names ...string) func(*v1alpha1.CiPipeline) {
	return func(p *v1alpha1.CiPipeline) {
		for _, name := range names {
			p.Spec.BaseImages = append(p.Spec.BaseImages, v1alpha1.BaseImageReference{Name: name})
		}
	}
}

func TestTheWorkflowOfABuild(t *testing.T) {
	t.Parallel()
	pipeline := ciPipeline(ofSource("https://git.example.com/shop", "main"), givesBuilds("registry", "registry.example.com"))
	pipeline.Spec.Workflow.ServiceAccountName = "builder"
	build := ciBuild(ofRevision("0a1b2c"), given.OfRef("main"), given.Because(v1alpha1.CauseWebhook))
	claim := claimOfBuild(build, pipeline)
	workflow, err := builtBy(t, Builds{Labels: map[string]string{"team": "blue", v1alpha1.LabelStage: "other"}, TTL: time.Hour}, build, pipeline, template())
	require.NoError(t, err)
	require.Equal(t, &wfv1.Workflow{
		TypeMeta: metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "Workflow"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: claim.WorkflowName,
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "penstock", "penstock.dev/task": "42", "penstock.dev/identity": claim.Identity,
				"penstock.dev/stage": "build", "penstock.dev/pipeline": "shop", "penstock.dev/build": "shop-1", "team": "blue",
			},
			Annotations: map[string]string{"penstock.dev/pipeline": "shop", "penstock.dev/build": "shop-1"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "penstock.dev/v1alpha1", Kind: "CiBuild", Name: "shop-1", UID: build.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true),
			}},
			Finalizers: []string{"penstock.dev/recorded"},
		},
		Spec: wfv1.WorkflowSpec{
			WorkflowTemplateRef: &wfv1.WorkflowTemplateRef{Name: given.Template},
			ServiceAccountName:  "builder",
			TTLStrategy:         &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To(int32(3600))},
			Arguments: wfv1.Arguments{Parameters: []wfv1.Parameter{
				{Name: "registry", Value: wfv1.AnyStringPtr("registry.example.com")},
				{Name: "url", Value: wfv1.AnyStringPtr("https://git.example.com/shop")},
				{Name: "revision", Value: wfv1.AnyStringPtr("0a1b2c")},
				{Name: "ref", Value: wfv1.AnyStringPtr("main")},
				{Name: "build", Value: wfv1.AnyStringPtr("shop-1")},
				{Name: "cause", Value: wfv1.AnyStringPtr("Webhook")},
			}},
		},
	}, workflow)
}

func TestWhatNobodySetIsNotPassedToABuild(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		build    []func(*v1alpha1.CiBuild)
		pipeline []func(*v1alpha1.CiPipeline)
		want     map[string]string
	}{
		"nothing is set":              {nil, nil, map[string]string{"build": "shop-1", "cause": "API"}},
		"the pipeline has a revision": {nil, []func(*v1alpha1.CiPipeline){ofSource("git@git.example.com:shop", "v1")}, map[string]string{"build": "shop-1", "cause": "API", "url": "git@git.example.com:shop", "revision": "v1"}},
		"the build's goes before it":  {[]func(*v1alpha1.CiBuild){ofRevision("v2")}, []func(*v1alpha1.CiPipeline){ofSource("u", "v1")}, map[string]string{"build": "shop-1", "cause": "API", "url": "u", "revision": "v2"}},
		"a parameter without a value": {nil, []func(*v1alpha1.CiPipeline){func(p *v1alpha1.CiPipeline) {
			p.Spec.Workflow.Parameters = []v1alpha1.Parameter{{Name: "region"}}
		}}, map[string]string{"build": "shop-1", "cause": "API"}},
		"an empty text is set": {nil, []func(*v1alpha1.CiPipeline){givesBuilds("region", "")}, map[string]string{"build": "shop-1", "cause": "API", "region": ""}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			workflow, err := builtBy(t, Builds{}, ciBuild(test.build...), ciPipeline(test.pipeline...), template())
			require.NoError(t, err)
			passed := map[string]string{}
			for _, parameter := range workflow.Spec.Arguments.Parameters {
				passed[parameter.Name] = parameter.Value.String()
			}
			require.Equal(t, test.want, passed)
			require.Nil(t, workflow.Spec.TTLStrategy, "without a setting Argo decides")
		})
	}
}

func TestBaseImagesArePassedAsTheyAreKnownNow(t *testing.T) {
	t.Parallel()
	known := []BaseImage{{Name: "debian", Image: "registry.example.com/debian:12", Digest: shop.Digest}, {Name: "new", Image: "registry.example.com/new"}}
	builds := Builds{BaseImages: func(context.Context, client.Reader, *v1alpha1.CiPipeline) ([]BaseImage, error) { return known, nil }}
	workflow, err := builtBy(t, builds, ciBuild(), ciPipeline(basedOn("debian", "new")), template())
	require.NoError(t, err)
	passed := workflow.Spec.Arguments.GetParameterByName("baseImages")
	require.NotNil(t, passed)
	require.JSONEq(t, `[{"name":"debian","image":"registry.example.com/debian:12","digest":"`+shop.Digest+`"},{"name":"new","image":"registry.example.com/new","digest":""}]`, passed.Value.String())

	workflow, err = builtBy(t, builds, ciBuild(), ciPipeline(), template())
	require.NoError(t, err)
	require.Nil(t, workflow.Spec.Arguments.GetParameterByName("baseImages"), "of a pipeline without any")

	down := errors.New("the cache is down")
	builds.BaseImages = func(context.Context, client.Reader, *v1alpha1.CiPipeline) ([]BaseImage, error) { return nil, down }
	_, err = builtBy(t, builds, ciBuild(), ciPipeline(basedOn("debian")), template())
	require.ErrorIs(t, err, down)
	requireNoRefusal(t, err)
}

func TestABuildThatCannotRunIsHeldOrEnded(t *testing.T) {
	t.Parallel()
	build, pipeline := ciBuild(), ciPipeline()
	anew := func(object client.Object) client.Object {
		object.SetUID("another")
		return object
	}
	deleting := func(object client.Object) client.Object {
		object.SetDeletionTimestamp(&metav1.Time{Time: time.Now()})
		object.SetFinalizers([]string{"example.com/keeps"})
		return object
	}
	elsewhere := ciPipeline(func(p *v1alpha1.CiPipeline) { p.Spec.Workflow = nil })
	clustered := ciPipeline(func(p *v1alpha1.CiPipeline) { p.Spec.Workflow.TemplateRef.ClusterScope = true })
	for sentence, test := range map[string]struct {
		objects []client.Object
		status  store.Status
		reason  v1alpha1.Reason
		message string
	}{
		"its template does not exist":         {[]client.Object{build, pipeline}, store.StatusHeld, v1alpha1.ReasonTemplate, "WorkflowTemplate deploy does not exist"},
		"only a template of another scope":    {[]client.Object{build, clustered, template()}, store.StatusHeld, v1alpha1.ReasonTemplate, "ClusterWorkflowTemplate deploy does not exist"},
		"the build was deleted":               {[]client.Object{pipeline, template()}, store.StatusCancelled, v1alpha1.ReasonBuildDeleted, "CiBuild shop-1 was deleted before its turn came"},
		"the build is being deleted":          {[]client.Object{deleting(ciBuild()), pipeline, template()}, store.StatusCancelled, v1alpha1.ReasonBuildDeleted, "CiBuild shop-1 was deleted"},
		"the build was made anew":             {[]client.Object{anew(ciBuild()), pipeline, template()}, store.StatusCancelled, v1alpha1.ReasonBuildDeleted, "CiBuild shop-1 was deleted"},
		"somebody else ended the build":       {[]client.Object{ended(ciBuild()), pipeline, template()}, store.StatusCancelled, v1alpha1.ReasonBuildEnded, "the status of CiBuild shop-1 said that it ended as Failed before its turn came"},
		"the pipeline was deleted":            {[]client.Object{build, template()}, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "CiPipeline shop was deleted before the build's turn came"},
		"the pipeline is being deleted":       {[]client.Object{build, deleting(ciPipeline()), template()}, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "CiPipeline shop was deleted"},
		"the pipeline was made anew":          {[]client.Object{build, anew(ciPipeline()), template()}, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "CiPipeline shop was deleted"},
		"the pipeline's builds run elsewhere": {[]client.Object{build, elsewhere, template()}, store.StatusCancelled, v1alpha1.ReasonStageRemoved, "CiPipeline shop has no spec.workflow any more"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, test.objects...)
			w.Builders[store.KindCi] = Builds{}
			requireRefusal(t, w.submit(t, claimOfBuild(build, pipeline)), test.status, test.reason, test.message)
			require.Empty(t, w.workflows(t))
		})
	}
}

// buildCases are what a template declares, and what is wrong with a build of v3 of ref main
// in a pipeline with url and one base image.
var buildCases = map[string]struct {
	declares []wfv1.Parameter
	with     []func(*v1alpha1.CiPipeline)
	unready  string // before any build
	refused  string // where it is another text than unready
}{
	"Penstock's own are passed":     {declares: []wfv1.Parameter{{Name: "url"}, {Name: "revision"}, {Name: "ref"}, {Name: "build"}, {Name: "cause"}, {Name: "baseImages"}}},
	"the pipeline's own are passed": {declares: []wfv1.Parameter{given.OneOf("region", "north")}, with: []func(*v1alpha1.CiPipeline){givesBuilds("region", "north")}},
	"a parameter of its own is missing": {
		declares: []wfv1.Parameter{{Name: "region"}},
		unready:  "parameter region has no value, and WorkflowTemplate deploy gives it none: set it in spec.workflow.parameters of the CiPipeline, or give it a value in the template",
	},
	"a parameter of its own is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("region", "north")}, with: []func(*v1alpha1.CiPipeline){givesBuilds("region", "west")},
		unready: `parameter region is "west", and WorkflowTemplate deploy allows "north": correct spec.workflow.parameters of the CiPipeline or the template's enum`,
	},
	"the url is missing": {
		declares: []wfv1.Parameter{{Name: "url"}}, with: []func(*v1alpha1.CiPipeline){func(p *v1alpha1.CiPipeline) { p.Spec.Source = nil }},
		unready: "parameter url has no value, and WorkflowTemplate deploy gives it none: set spec.source.url of the CiPipeline, or give it a value in the template",
	},
	"the url is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("url", "other")},
		unready:  `parameter url is "https://git.example.com/shop", and WorkflowTemplate deploy allows "other": correct spec.source.url of the CiPipeline or the template's enum`,
	},
	"base images are missing": {
		declares: []wfv1.Parameter{{Name: "baseImages"}}, with: []func(*v1alpha1.CiPipeline){func(p *v1alpha1.CiPipeline) { p.Spec.BaseImages = nil }},
		unready: "parameter baseImages has no value, and WorkflowTemplate deploy gives it none: give it a value in the template",
	},
	"the build's revision is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("revision", "v1", "v2")},
		refused:  `parameter revision is "v3", and WorkflowTemplate deploy allows "v1", "v2": build another revision, or correct the template's enum`,
	},
	"the build's ref is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("ref", "dev")},
		refused:  `parameter ref is "main", and WorkflowTemplate deploy allows "dev": build another ref, or correct the template's enum`,
	},
	"the build's cause is not allowed": {
		declares: []wfv1.Parameter{given.OneOf("cause", "Webhook")},
		refused:  `parameter cause is "API", and WorkflowTemplate deploy allows "Webhook": correct the template's enum`,
	},
	"the template finds the value elsewhere": {declares: []wfv1.Parameter{
		{Name: "a", ValueFrom: &wfv1.ValueFrom{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{Key: "k"}}},
	}},
}

func TestParametersOfABuildAreComparedWithThoseThatTheTemplateDeclares(t *testing.T) {
	t.Parallel()
	bases := func(context.Context, client.Reader, *v1alpha1.CiPipeline) ([]BaseImage, error) {
		return []BaseImage{{Name: "debian"}}, nil
	}
	for sentence, test := range buildCases {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := ciPipeline(append([]func(*v1alpha1.CiPipeline){ofSource("https://git.example.com/shop", ""), basedOn("debian")}, test.with...)...)
			build := ciBuild(ofRevision("v3"), given.OfRef("main"))
			w := newWorld(t, pipeline, build, given.Declares(template(), test.declares...))
			w.Builders[store.KindCi] = Builds{BaseImages: bases}
			reason, message, err := UnreadyBuild(t.Context(), w.Cache, pipeline)
			require.NoError(t, err)
			require.Equal(t, test.unready, message)
			require.Equal(t, test.unready != "", reason == v1alpha1.ReasonInvalidParameters)

			want := test.unready + test.refused
			if want == "" {
				require.NoError(t, w.submit(t, claimOfBuild(build, pipeline)))
				return
			}
			requireRefusal(t, w.submit(t, claimOfBuild(build, pipeline)), store.StatusError, v1alpha1.ReasonInvalidParameters, want+"; then build again")
			require.Empty(t, w.workflows(t))
		})
	}
}

func TestAPipelineWhoseTemplateDoesNotExistIsUnready(t *testing.T) {
	t.Parallel()
	reason, message, err := UnreadyBuild(t.Context(), newServer(t), ciPipeline())
	require.NoError(t, err)
	require.Equal(t, v1alpha1.ReasonTemplateNotFound, reason)
	require.Equal(t, "WorkflowTemplate deploy does not exist: create it, or correct spec.workflow.templateRef", message)
}

func TestABuildKeepsTheTTLOfItsTemplate(t *testing.T) {
	t.Parallel()
	own := template()
	own.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To(int32(60))}
	workflow, err := builtBy(t, Builds{TTL: time.Hour}, ciBuild(), ciPipeline(), own)
	require.NoError(t, err)
	require.Nil(t, workflow.Spec.TTLStrategy)
}

func ended(build *v1alpha1.CiBuild) *v1alpha1.CiBuild {
	build.Status.Phase = v1alpha1.BuildFailed
	return build
}
