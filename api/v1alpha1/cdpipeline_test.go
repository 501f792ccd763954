package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

const reserved = "image, digest, artifacts, revision, application, environment, stage and build are set by Penstock: rename the parameter"

func TestCreatingACdPipeline(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	tests := map[string]struct {
		change  func(*v1alpha1.CdPipeline)
		refusal string
	}{
		"a pipeline with all three stages is accepted": {
			func(p *v1alpha1.CdPipeline) { given.WithPre(p); given.WithPost(p) }, "",
		},
		"a name of 253 characters is accepted": {
			func(p *v1alpha1.CdPipeline) { p.Name = strings.Repeat("a", 253) }, "",
		},
		"a pipeline is not its own parent": {
			func(p *v1alpha1.CdPipeline) { p.Name = "self"; given.BelowCd("self")(p) },
			"spec.parentRef names the pipeline itself: a pipeline cannot be its own parent",
		},
		"a CiPipeline may have the pipeline's name": {
			func(p *v1alpha1.CdPipeline) { p.Name = "same"; given.BelowCi("same")(p) }, "",
		},
		"a parent may be created later": {given.BelowCd("later"), ""},
		"labels of a stage are accepted": {
			labelled(map[string]v1alpha1.LabelValue{"workflows.argoproj.io/controller-instanceid": "ci", "team": "", strings.Repeat("a", 63): "A.b_c-9"}), "",
		},
		"a label of Penstock's own is refused": {
			labelled(map[string]v1alpha1.LabelValue{"penstock.dev/identity": "x"}), "are set by Penstock and Argo",
		},
		"a label in which Argo keeps a state is refused": {
			labelled(map[string]v1alpha1.LabelValue{"workflows.argoproj.io/phase": "Succeeded"}), "are set by Penstock and Argo",
		},
		"a key that is none is refused": {
			labelled(map[string]v1alpha1.LabelValue{"a b": "x"}), "labels: a key is an optional DNS name and a slash",
		},
		"a key that is too long is refused": {
			labelled(map[string]v1alpha1.LabelValue{v1alpha1.LabelManagedBy + strings.Repeat("a", 63): "x"}), "labels: a key is an optional DNS name and a slash",
		},
		"a value that is none is refused": {
			labelled(map[string]v1alpha1.LabelValue{"team": "a b"}), "should match",
		},
		"another concurrency policy is refused": {
			given.Concurrency("Newest"), `spec.concurrencyPolicy: Unsupported value: "Newest": supported values: "Queue", "Latest", "Replace", "Allow"`,
		},
		"another mode of artifacts is refused": {
			func(p *v1alpha1.CdPipeline) { p.Spec.Artifacts = "First" },
			`spec.artifacts: Unsupported value: "First": supported values: "Each", "All"`,
		},
		"a pipeline may be held":     {given.Held, ""},
		"20 retries are accepted":    {given.WithRetries(20, time.Minute), ""},
		"no retries may be asked":    {given.WithRetries(0, 0), ""},
		"21 retries are refused":     {given.WithRetries(21, time.Minute), "spec.deploy.retries.max in body should be less than or equal to 20"},
		"fewer than none is refused": {given.WithRetries(-1, time.Minute), "spec.deploy.retries.max in body should be greater than or equal to 0"},
		"retries need no backoff": {
			func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Retries = &v1alpha1.Retries{Max: 1} }, "",
		},
		"a parent of another kind is refused": {
			func(p *v1alpha1.CdPipeline) { p.Spec.ParentRef.Kind = "Deployment" }, `supported values: "CiPipeline", "CdPipeline"`,
		},
		"a parent needs a name": {
			func(p *v1alpha1.CdPipeline) { p.Spec.ParentRef.Name = "" }, "spec.parentRef.name in body should be at least 1 chars long",
		},
		"a trigger of another mode is refused": {
			func(p *v1alpha1.CdPipeline) { p.Spec.Trigger = "Sometimes" }, `supported values: "Automatic", "Manual"`,
		},
		"a stage's trigger of another mode is refused": {
			func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Trigger = "Sometimes" }, `spec.deploy.trigger: Unsupported value: "Sometimes"`,
		},
		"a template needs a name": {
			func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Workflow.TemplateRef.Name = "" },
			"spec.deploy.workflow.templateRef.name in body should be at least 1 chars long",
		},
		"a template's name is no path": {
			given.Runs("workflowtemplates/deploy"), "spec.deploy.workflow.templateRef.name in body should match",
		},
		"a parent's name is no path":                            {given.BelowCd("../cd"), "spec.parentRef.name in body should match"},
		"a filter of 4096 characters is accepted, valid or not": {given.Filter(strings.Repeat("(", 4096)), ""},
		"a filter of 4097 characters is refused":                {given.Filter(strings.Repeat("(", 4097)), "may not be more than 4096 bytes"},
		"64 parameters are accepted":                            {parameters(named(64)...), ""},
		"65 parameters are refused":                             {parameters(named(65)...), "must have at most 64 items"},
		"a parameter given twice is refused":                    {parameters("region", "region"), "Duplicate value"},
		"a parameter needs a name":                              {parameters(""), "parameters[0].name in body should be at least 1 chars long"},
		"a parameter's name with a dot is refused": {
			func(p *v1alpha1.CdPipeline) {
				p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "my.param"}}
			}, "parameters[0].name in body should match",
		},
		"a parameter's value of 16385 characters is refused": {
			func(p *v1alpha1.CdPipeline) {
				p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "a", Value: new(strings.Repeat("a", 16385))}}
			},
			"may not be more than 16384 bytes",
		},
		"reserved parameters are refused in PRE too": {
			func(p *v1alpha1.CdPipeline) {
				given.WithPre(p)
				p.Spec.PreDeploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "image"}}
			},
			"spec.preDeploy.workflow.parameters: Invalid value: " + reserved,
		},
		"reserved parameters are refused in POST too": {
			func(p *v1alpha1.CdPipeline) {
				given.WithPost(p)
				p.Spec.PostDeploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "image"}}
			},
			"spec.postDeploy.workflow.parameters: Invalid value: " + reserved,
		},
	}
	for _, name := range []string{"image", "digest", "artifacts", "revision", "application", "environment", "stage", "build"} {
		tests["the parameter "+name+" is reserved"] = struct {
			change  func(*v1alpha1.CdPipeline)
			refusal string
		}{parameters("region", name), reserved}
	}
	for sentence, tc := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("", func(p *v1alpha1.CdPipeline) { p.GenerateName = "pipeline-" }, tc.change)
			requireAdmission(t, tc.refusal, p.create(t, pipeline))
		})
	}
}

// labelled gives the stage DEPLOY labels.
func labelled(labels map[string]v1alpha1.LabelValue) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Deploy.Labels = labels }
}

func TestTheDurationsOfAStage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const (
		timeout = "timeout must be a duration from 1s to 720h, such as 90s or 1h30m"
		backoff = "backoff must be a duration from 0s to 1h, such as 30s or 5m"
	)
	pipeline := given.CdPipeline("web", given.WithPre, given.WithPost)
	require.NoError(t, p.create(t, pipeline))
	for sentence, tc := range map[string]struct {
		patch   string
		refusal string
	}{
		"a timeout of a second is accepted":            {`{"timeout":"1s"}`, ""},
		"a timeout of 30 days is accepted":             {`{"timeout":"720h"}`, ""},
		"a timeout as Go writes it is accepted":        {`{"timeout":"1h30m0.5s"}`, ""},
		"a timeout of several units is accepted":       {`{"timeout":"1h30m10s500ms"}`, ""},
		"a timeout of many seconds is accepted":        {`{"timeout":"2592000s"}`, ""},
		"a timeout below a second is refused":          {`{"timeout":"999ms"}`, timeout},
		"a timeout of nothing is refused":              {`{"timeout":"0s"}`, timeout},
		"a timeout above 30 days is refused":           {`{"timeout":"720h1s"}`, timeout},
		"a negative timeout is refused":                {`{"timeout":"-5m"}`, timeout},
		"a timeout without a unit is refused":          {`{"timeout":"90"}`, timeout},
		"a timeout in days is refused":                 {`{"timeout":"1d"}`, timeout},
		"a timeout with a space is refused":            {`{"timeout":"1 h"}`, timeout},
		"a timeout in words is refused":                {`{"timeout":"1 hour"}`, timeout},
		"an empty timeout is refused":                  {`{"timeout":""}`, timeout},
		"a timeout of a number is refused":             {`{"timeout":90}`, `must be of type string`},
		"a timeout that overflows is refused":          {`{"timeout":"9999999999999999999h"}`, timeout},
		"a timeout with the units reversed is refused": {`{"timeout":"30m1h"}`, timeout},
		"a timeout of 33 characters is refused":        {`{"timeout":"` + strings.Repeat("0", 32) + `s"}`, "may not be more than 32 bytes"},
		"a backoff of nothing is accepted":             {`{"retries":{"max":1,"backoff":"0s"}}`, ""},
		"a backoff of milliseconds is accepted":        {`{"retries":{"max":1,"backoff":"100ms"}}`, ""},
		"a backoff of an hour is accepted":             {`{"retries":{"max":1,"backoff":"1h0m0s"}}`, ""},
		"a backoff above an hour is refused":           {`{"retries":{"max":1,"backoff":"61m"}}`, backoff},
		"a negative backoff is refused":                {`{"retries":{"max":1,"backoff":"-1s"}}`, backoff},
		"a backoff in words is refused":                {`{"retries":{"max":1,"backoff":"a minute"}}`, backoff},
	} {
		for _, stage := range []string{"preDeploy", "deploy", "postDeploy"} {
			t.Run(sentence+" in "+stage, func(t *testing.T) {
				t.Parallel()
				err := p.patch(t, pipeline.DeepCopy(), fmt.Sprintf(`{"spec":{%q:%s}}`, stage, tc.patch))
				requireAdmission(t, tc.refusal, err)
				if tc.refusal != "" {
					require.Contains(t, err.Error(), "spec."+stage+".", "the message names the stage")
				}
			})
		}
	}
}

func TestACdPipelineNeedsItsParentAndItsDeployStage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for path, refusal := range map[string]string{
		"spec":                                  "spec: Required value",
		"spec.parentRef":                        "spec.parentRef: Required value",
		"spec.deploy":                           "spec.deploy: Required value",
		"spec.deploy.workflow":                  "spec.deploy.workflow: Required value",
		"spec.deploy.workflow.templateRef":      "spec.deploy.workflow.templateRef: Required value",
		"spec.deploy.workflow.templateRef.name": "spec.deploy.workflow.templateRef.name: Required value",
		"spec.deploy.retries.max":               "spec.deploy.retries.max: Required value",
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			requireAdmission(t, refusal, p.create(t, without(t, given.CdPipeline("web", given.WithRetries(1, time.Minute)), strings.Split(path, ".")...)))
		})
	}
}

func TestACdPipelineCannotBecomeItsOwnParent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pipeline := given.CdPipeline("web")
	require.NoError(t, p.create(t, pipeline))
	err := p.patch(t, pipeline, `{"spec":{"parentRef":{"kind":"CdPipeline","name":"web"}}}`)
	requireAdmission(t, "a pipeline cannot be its own parent", err)
}

func TestTriggersOfACdPipelineAreAutomaticUnlessSaidOtherwise(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	pipeline := given.CdPipeline("web", given.WithPre, func(p *v1alpha1.CdPipeline) {
		p.Spec.Trigger, p.Spec.Deploy.Trigger, p.Spec.PreDeploy.Trigger = "", "", v1alpha1.TriggerManual
	})
	require.NoError(t, p.create(t, pipeline))
	require.Equal(t, v1alpha1.TriggerAutomatic, pipeline.Spec.Trigger)
	require.Equal(t, v1alpha1.TriggerAutomatic, pipeline.Spec.Deploy.Trigger)
	require.Equal(t, v1alpha1.TriggerManual, pipeline.Spec.PreDeploy.Trigger)
}

func TestACdPipelineRunsOneBuildAtATimeAndEachArtifactUnlessSaidOtherwise(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	silent, said := given.CdPipeline("silent"), given.CdPipeline("said", given.Concurrency(v1alpha1.ConcurrencyReplace), given.AllArtifacts)
	require.NoError(t, p.create(t, silent))
	require.NoError(t, p.create(t, said))
	require.Equal(t, v1alpha1.ConcurrencyQueue, silent.Spec.ConcurrencyPolicy)
	require.Equal(t, v1alpha1.ArtifactsEach, silent.Spec.Artifacts)
	require.Equal(t, v1alpha1.ConcurrencyReplace, said.Spec.ConcurrencyPolicy)
	require.Equal(t, v1alpha1.ArtifactsAll, said.Spec.Artifacts)
}

func TestEveryConcurrencyPolicyIsAccepted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, policy := range []v1alpha1.ConcurrencyPolicy{
		v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyReplace, v1alpha1.ConcurrencyAllow,
	} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline(strings.ToLower(string(policy)), given.Concurrency(policy))
			require.NoError(t, p.create(t, pipeline))
			require.Equal(t, policy, pipeline.Spec.ConcurrencyPolicy)
		})
	}
}

func TestCdPipelinesAreSelectedByTheirParent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, pipeline := range []*v1alpha1.CdPipeline{
		given.CdPipeline("child", given.BelowCi("base")),
		given.CdPipeline("other", given.BelowCi("elsewhere")),
		given.CdPipeline("namesake", given.BelowCd("base")),
	} {
		require.NoError(t, p.create(t, pipeline))
	}
	for sentence, tc := range map[string]struct {
		fields client.MatchingFields
		want   []string
	}{
		"by name":          {client.MatchingFields{"spec.parentRef.name": "base"}, []string{"child", "namesake"}},
		"by kind":          {client.MatchingFields{"spec.parentRef.kind": "CiPipeline"}, []string{"child", "other"}},
		"by kind and name": {client.MatchingFields{"spec.parentRef.kind": "CdPipeline", "spec.parentRef.name": "base"}, []string{"namesake"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var found v1alpha1.CdPipelineList
			require.NoError(t, p.List(t.Context(), &found, client.InNamespace(p.namespace), tc.fields))
			names := make([]string, len(found.Items))
			for i := range found.Items {
				names[i] = found.Items[i].Name
			}
			require.ElementsMatch(t, tc.want, names)
		})
	}
}

func TestCreatingACiPipeline(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for sentence, tc := range map[string]struct {
		change  func(*v1alpha1.CiPipeline)
		refusal string
	}{
		"nothing but a name is needed": {func(*v1alpha1.CiPipeline) {}, ""},
		"a source needs a URL": {
			func(p *v1alpha1.CiPipeline) { p.Spec.Source = &v1alpha1.Source{Revision: "main"} },
			"spec.source.url in body should be at least 1 chars long",
		},
		"a URL of 2049 characters is refused": {
			func(p *v1alpha1.CiPipeline) { p.Spec.Source = &v1alpha1.Source{URL: strings.Repeat("a", 2049)} },
			"may not be more than 2048 bytes",
		},
		"an application of 254 characters is refused": {
			func(p *v1alpha1.CiPipeline) { p.Spec.Application = strings.Repeat("a", 254) }, "may not be more than 253 bytes",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CiPipeline("", func(p *v1alpha1.CiPipeline) { p.GenerateName = "pipeline-" }, tc.change)
			requireAdmission(t, tc.refusal, p.create(t, pipeline))
		})
	}
}

func parameters(names ...string) func(*v1alpha1.CdPipeline) {
	return func(p *v1alpha1.CdPipeline) {
		for _, name := range names {
			p.Spec.Deploy.Workflow.Parameters = append(p.Spec.Deploy.Workflow.Parameters, v1alpha1.Parameter{Name: name})
		}
	}
}

func named(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("p%d", i)
	}
	return names
}
