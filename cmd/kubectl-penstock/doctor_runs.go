package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/doctor"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// runsThere is what pipelines need in a TargetCluster, and how Penstock reaches it.
type runsThere struct {
	cluster    string
	reached    *fleet.Client
	namespaces map[string]*neededIn
}

// neededIn is what the pipelines of a namespace need.
type neededIn struct {
	templates map[v1alpha1.TemplateReference]bool
	accounts  map[string]bool
}

// checksOfRuns ask a cluster, with the credentials that Penstock has there, whether pipelines can
// run in it.
func (p *patient) checksOfRuns(name string) []doctor.Check {
	var once sync.Once
	var there *runsThere
	var why doctor.Finding
	of := func(judge func(context.Context, *runsThere) doctor.Finding) func(context.Context) doctor.Finding {
		return func(ctx context.Context) doctor.Finding {
			once.Do(func() { there, why = p.runsThere(ctx, name) })
			if there == nil {
				return why
			}
			return judge(ctx, there)
		}
	}
	return []doctor.Check{
		{Name: "namespaces for runs", Look: of(namespacesForRuns)},
		{Name: "rights for runs", Look: of(rightsForRuns)},
		{Name: "templates for runs", Look: of(templatesForRuns)},
		{Name: "service accounts for runs", Look: of(accountsForRuns)},
	}
}

// runsThere returns nil, and the finding of every check, where there is nothing to ask.
func (p *patient) runsThere(ctx context.Context, name string) (*runsThere, doctor.Finding) {
	cluster := &v1alpha1.TargetCluster{}
	if err := p.cluster.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
		return nil, unseen(err)
	}
	ref := cluster.Spec.KubeconfigSecretRef
	if ref == nil || cluster.Spec.Suspend {
		return nil, doctor.Good("no pipeline can run there: it is Penstock's own cluster, virtual or suspended")
	}
	namespaces, err := p.neededIn(ctx, name)
	if err != nil {
		return nil, unseen(err)
	}
	if len(namespaces) == 0 {
		return nil, doctor.Good("no pipeline has it as its clusterRef")
	}
	secret := &corev1.Secret{}
	if err := p.cluster.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: ref.Name}, secret); err != nil {
		return nil, doctor.Odd(fmt.Sprintf("ask who may get the Secret %s/%s to run this", p.namespace, ref.Name), "the cluster could not be asked with Penstock's credentials: %v", err)
	}
	config, err := fleet.Parse(secret.Data[ref.Key])
	if err != nil {
		return nil, notAsked(err)
	}
	reached, err := fleet.NewClient(config)
	if err != nil {
		return nil, notAsked(err)
	}
	context.AfterFunc(ctx, reached.Close)
	return &runsThere{cluster: name, reached: reached, namespaces: namespaces}, doctor.Finding{}
}

func notAsked(err error) doctor.Finding {
	var failure *fleet.Failure
	if errors.As(err, &failure) {
		return doctor.Bad("docs/clusters.md", "%s: %s", failure.Class, failure.Message)
	}
	return unseen(err)
}

// neededIn lists the pipelines that run in a cluster.
func (p *patient) neededIn(ctx context.Context, cluster string) (map[string]*neededIn, error) {
	var runs v1alpha1.CdPipelineList
	var builds v1alpha1.CiPipelineList
	if err := errors.Join(p.cluster.List(ctx, &runs), p.cluster.List(ctx, &builds)); err != nil {
		return nil, err
	}
	needed := map[string]*neededIn{}
	need := func(namespace string, template v1alpha1.TemplateReference, account string) {
		if needed[namespace] == nil {
			needed[namespace] = &neededIn{map[v1alpha1.TemplateReference]bool{}, map[string]bool{}}
		}
		needed[namespace].templates[template] = true
		if account != "" {
			needed[namespace].accounts[account] = true
		}
	}
	for i := range runs.Items {
		pipeline := &runs.Items[i]
		if trigger.ClusterOf(pipeline) != cluster {
			continue
		}
		for _, stage := range trigger.Stages(pipeline, "") {
			workflow := trigger.StageSpec(pipeline, stage).Workflow
			need(pipeline.Namespace, workflow.TemplateRef, workflow.ServiceAccountName)
		}
	}
	for i := range builds.Items {
		pipeline := &builds.Items[i]
		if workflow := pipeline.Spec.Workflow; workflow != nil && trigger.BuildCluster(pipeline) == cluster {
			need(pipeline.Namespace, workflow.TemplateRef, workflow.ServiceAccountName)
		}
	}
	return needed, nil
}
