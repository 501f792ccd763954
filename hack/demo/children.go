package main

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	namespace    = "demo"
	ciPipeline   = "shop"
	buildName    = "shop-1"
	triggered    = 50
	withPre      = 10 // the first children have a stage PRE
	withPost     = 5  // of which the first have a stage POST as well
	suspended    = "shop-suspended"
	filteredOut  = "shop-filtered-out"
	chainFirst   = "shop-chain-1"
	chainSecond  = "shop-chain-2"
	direct       = triggered + 2
	chain        = 2
	wantRuns     = triggered + chain
	wantStages   = wantRuns + withPre + withPost
	sampleDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// children are the pipelines below the demo's CiPipeline: 50 that are triggered,
// one suspended, one filtered out, and a chain of two below the first.
func children() []*v1alpha1.CdPipeline {
	var list []*v1alpha1.CdPipeline
	for i := range triggered {
		child := pipeline(fmt.Sprintf("shop-%02d", i), v1alpha1.ParentCiPipeline, ciPipeline)
		if i < withPre {
			child.Spec.PreDeploy = stageSpec("check")
		}
		if i < withPost {
			child.Spec.PostDeploy = stageSpec("verify")
		}
		list = append(list, child)
	}
	asleep := pipeline(suspended, v1alpha1.ParentCiPipeline, ciPipeline)
	asleep.Spec.Suspend = true
	filtered := pipeline(filteredOut, v1alpha1.ParentCiPipeline, ciPipeline)
	filtered.Spec.Filter = `build.revision.startsWith("release/")`
	return append(list, asleep, filtered,
		pipeline(chainFirst, v1alpha1.ParentCdPipeline, "shop-00"),
		pipeline(chainSecond, v1alpha1.ParentCdPipeline, chainFirst))
}

func pipeline(name string, kind v1alpha1.ParentKind, parent string) *v1alpha1.CdPipeline {
	return &v1alpha1.CdPipeline{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.CdPipelineSpec{
			Application: ciPipeline, Environment: "staging",
			ParentRef: v1alpha1.ParentReference{Kind: kind, Name: parent},
			Deploy:    *stageSpec("deploy"),
		},
	}
}

func stageSpec(task string) *v1alpha1.StageSpec {
	return &v1alpha1.StageSpec{Workflow: v1alpha1.WorkflowSpec{
		TemplateRef: v1alpha1.TemplateReference{Name: "deploy"},
		Parameters:  []v1alpha1.Parameter{{Name: "task", Value: new(task)}},
	}}
}
