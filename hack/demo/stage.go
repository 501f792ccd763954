package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/cpushare"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// timeout bounds each thing that the demo waits for.
	timeout = 2 * time.Minute
	// tick is how often it looks.
	tick = 250 * time.Millisecond
)

// stage is where the demo plays: clients as an administrator would have them.
type stage struct {
	cluster  client.Client
	database *pgxpool.Pool
	auditLog string
	watched  connections
	cpu      cpushare.Clock // when the build was finished
	share    float64        // of the processors, from then until all were triggered
}

func newStage(ctx context.Context, local *env.Environment) (*stage, error) {
	cluster, err := local.NewClient(env.Admin)
	if err != nil {
		return nil, err
	}
	database, err := pgxpool.New(ctx, local.DatabaseURL)
	if err != nil {
		return nil, errors.New("the demo's database URL is not valid")
	}
	return &stage{cluster: cluster, database: database, auditLog: local.AuditLog}, nil
}

func (s *stage) close() { s.database.Close() }

// applySamples applies config/samples as a user would.
func (s *stage) applySamples(ctx context.Context, local *env.Environment) error {
	fmt.Println("Applying config/samples")
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := s.cluster.Create(ctx, object); err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	_, err := local.Kubectl(ctx, "apply", "-n", namespace, "-k", "config/samples")
	return err
}

func (s *stage) createChildren(ctx context.Context) error {
	fmt.Printf("Creating CiPipeline %s with %d children and a chain of %d below the first\n", ciPipeline, direct, chain)
	parent := &v1alpha1.CiPipeline{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ciPipeline}}
	build := &v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: buildName},
		Spec: v1alpha1.CiBuildSpec{
			PipelineRef: v1alpha1.PipelineReference{Name: ciPipeline}, Revision: "main",
			Cause: &v1alpha1.BuildCause{Type: v1alpha1.CauseAPI, By: "demo"},
		},
	}
	objects := []client.Object{parent, build}
	for _, child := range children() {
		objects = append(objects, child)
	}
	for _, object := range objects {
		if err := s.cluster.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// settle returns when every pipeline is said to be ready, and the token bucket has
// had time to fill.
func (s *stage) settle(ctx context.Context) error {
	err := wait.PollUntilContextTimeout(ctx, tick, timeout, true, func(ctx context.Context) (bool, error) {
		var list v1alpha1.CdPipelineList
		if err := s.cluster.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		for i := range list.Items {
			pipeline := &list.Items[i] // one that is suspended says so instead
			if !meta.IsStatusConditionTrue(pipeline.Status.Conditions, v1alpha1.ConditionReady) && !pipeline.Spec.Suspend {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the pipelines to be Ready: %w", err)
	}
	return sleep(ctx, time.Second)
}

// finishBuild patches the status as an external CI system does, and returns when
// the API server had answered.
func (s *stage) finishBuild(ctx context.Context) (time.Time, error) {
	fmt.Printf("Finishing build %s, as an external CI does: a merge patch of status.phase and status.artifacts\n", buildName)
	s.watched = s.watchConnections(ctx)
	s.cpu = cpushare.Start()
	patch := fmt.Sprintf(`{"status":{"phase":"Succeeded","artifacts":[{"image":"registry.example.com/shop:1","digest":%q}]}}`, sampleDigest)
	build := &v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: buildName}}
	if err := s.cluster.Status().Patch(ctx, build, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return time.Time{}, fmt.Errorf("finish build: %w", err)
	}
	return time.Now(), nil
}

// watch shows the build's progress until all of its runs have ended and the status
// says so.
func (s *stage) watch(ctx context.Context) error {
	began, last := time.Now(), ""
	err := wait.PollUntilContextTimeout(ctx, tick, timeout, true, func(ctx context.Context) (bool, error) {
		build := &v1alpha1.CiBuild{}
		if err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: buildName}, build); err != nil {
			return false, err
		}
		triggers := build.Status.Triggers
		if triggers == nil {
			return false, nil
		}
		line := fmt.Sprintf("triggered %-7s pending %-3d held %-3d submitted %-3d running %-3d succeeded %-3d failed %-3d skipped %d",
			triggers.Progress, triggers.Pending, triggers.Held, triggers.Submitted, triggers.Running, triggers.Succeeded, triggers.Failed, triggers.Skipped)
		if line != last {
			fmt.Printf("  %5.1f s  %s\n", time.Since(began).Seconds(), line)
			last = line
		}
		if s.share == 0 && triggers.Pending == 0 && triggers.Held == 0 {
			s.share = s.cpu.Left()
		}
		return triggers.Total >= wantRuns && triggers.Waiting+triggers.Active == 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the runs to end: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
