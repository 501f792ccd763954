package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

const reserved = "image, digest, revision, application, environment, stage and build are set by Penstock: rename the parameter"

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
		"a parameter's value of 16385 characters is refused": {
			func(p *v1alpha1.CdPipeline) {
				p.Spec.Deploy.Workflow.Parameters = []v1alpha1.Parameter{{Name: "a", Value: strings.Repeat("a", 16385)}}
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
	for _, name := range []string{"image", "digest", "revision", "application", "environment", "stage", "build"} {
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
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			requireAdmission(t, refusal, p.create(t, without(t, given.CdPipeline("web"), strings.Split(path, ".")...)))
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
