package sweep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

var adopted = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "penstock_workflows_adopted_total",
	Help: "Workflows of ours that ran, of which the database knew nothing, and that are followed now.",
})

func init() { metrics.Registry.MustRegister(adopted) }

// adoptUnknown has the tables know Workflows of ours that go on and that have no task, such
// as after the database was restored. What has ended is left alone.
func (s *Sweeper) adoptUnknown(ctx context.Context, names []types.NamespacedName, unended map[types.NamespacedName]*metav1.PartialObjectMetadata) error {
	var derived []types.NamespacedName
	for _, name := range names {
		if trigger.HasDerivedName(name.Name, argo.Identity(unended[name])) {
			derived = append(derived, name)
		}
	}
	if len(derived) == 0 {
		return nil
	}
	unknown, err := s.Rows.Unknown(ctx, derived)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range unknown {
		errs = append(errs, s.adopt(ctx, name))
	}
	return errors.Join(errs...)
}

func (s *Sweeper) adopt(ctx context.Context, name types.NamespacedName) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	workflow := argo.Workflow()
	if err := s.Live.Get(ctx, name, workflow); err != nil {
		return client.IgnoreNotFound(err)
	}
	if argo.HasEnded(workflow) || workflow.GetDeletionTimestamp() != nil {
		return nil
	}
	adoption, err := s.recognise(ctx, workflow)
	if err != nil || adoption == nil {
		return err
	}
	done, err := s.Rows.Adopt(ctx, *adoption)
	if err != nil || !done {
		return err
	}
	adopted.Inc()
	s.Log.Info("adopted a workflow that the database knew nothing of", "workflow", name.Name, "namespace", name.Namespace)
	s.Events.Eventf(workflow, nil, corev1.EventTypeWarning, "Adopted", "Follow",
		"Penstock follows this Workflow of CdPipeline %s for build %s, of which its database knew nothing; nothing below that pipeline follows it",
		adoption.Pipeline.Name, adoption.Build.Name)
	s.Tracker.Found(argo.Identity(workflow), workflow)
	return nil
}

// recognise finds out what the Workflow is of; nil where it is not ours after all, or what
// it is of is gone. Its annotations only say where to look: that its identity comes of those
// objects is what makes it ours.
func (s *Sweeper) recognise(ctx context.Context, workflow *metav1.PartialObjectMetadata) (*store.Adoption, error) {
	pipeline, build := &v1alpha1.CdPipeline{}, &v1alpha1.CiBuild{}
	for annotation, object := range map[string]client.Object{v1alpha1.AnnotationPipeline: pipeline, v1alpha1.AnnotationBuild: build} {
		name := types.NamespacedName{Namespace: workflow.Namespace, Name: workflow.Annotations[annotation]}
		if err := s.Cache.Get(ctx, name, object); apierrors.IsNotFound(err) || name.Name == "" {
			return nil, nil
		} else if err != nil {
			return nil, fmt.Errorf("get %T: %w", object, err)
		}
	}
	both := workflow.Annotations[v1alpha1.AnnotationImage]
	at := max(strings.LastIndexByte(both, '@'), 0)
	image, digest := both[:at], strings.TrimPrefix(both[at:], "@")
	identity, found := trigger.FindIdentity(argo.Identity(workflow), trigger.Identity{
		BuildUID: string(build.UID), PipelineUID: string(pipeline.UID), Image: image, Digest: digest,
		Stage: trigger.Stage(strings.ToUpper(workflow.Labels[v1alpha1.LabelStage])),
	})
	if !found || trigger.WorkflowName(pipeline.Name, identity) != workflow.Name {
		return nil, nil
	}
	return &store.Adoption{
		Pipeline: pipeline, Artifact: v1alpha1.Artifact{Image: image, Digest: digest}, Identity: identity, Build: trigger.FactsOf(build),
	}, nil
}
