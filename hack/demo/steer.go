package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// The application that people steer: one pipeline goes by itself, the other waits for
// somebody.
const (
	cart           = "cart"
	cartStaging    = "cart-staging"
	cartProduction = "cart-production"
)

// steered is what came of the requests.
type steered struct {
	held, resumed, older, deployed, rolledBack string
}

// steer shows what people do: a stage is held and resumed, a build that finishes after a
// newer one is not deployed, and a pipeline is rolled back.
func (s *stage) steer(ctx context.Context) (steered, error) {
	var came steered
	fmt.Printf("Steering: builds 1 to 3 of %s, of which 2 finishes last\n", cart)
	if err := s.createCart(ctx); err != nil {
		return came, err
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return s.finishCart(ctx, 1) },
		func(ctx context.Context) (err error) {
			came.held, err = s.awaitRun(ctx, cartProduction, cartBuild(1), "Held")
			return err
		},
		func(ctx context.Context) error {
			return s.request(ctx, "approve-cart-1", v1alpha1.RunRequestSpec{
				Action: v1alpha1.ActionResume, PipelineRef: named(cartProduction), BuildRef: named(cartBuild(1)), Reason: "the demo approves it",
			})
		},
		func(ctx context.Context) (err error) {
			came.resumed, err = s.awaitRun(ctx, cartProduction, cartBuild(1), "Succeeded")
			return err
		},
		func(ctx context.Context) error { return s.finishCart(ctx, 3) },
		func(ctx context.Context) (err error) {
			_, err = s.awaitRun(ctx, cartStaging, cartBuild(3), "Succeeded")
			return err
		},
		func(ctx context.Context) (err error) {
			came.deployed, err = s.awaitDeployed(ctx, cartStaging, 3)
			return err
		},
		func(ctx context.Context) error { return s.finishCart(ctx, 2) },
		func(ctx context.Context) (err error) {
			came.older, err = s.awaitDecision(ctx, cartStaging, cartBuild(2))
			return err
		},
		func(ctx context.Context) error {
			return s.request(ctx, "undo-cart-3", v1alpha1.RunRequestSpec{
				Action: v1alpha1.ActionRollback, PipelineRef: named(cartStaging), Reason: "the demo rolls back",
			})
		},
		func(ctx context.Context) (err error) {
			came.rolledBack, err = s.awaitDeployed(ctx, cartStaging, 1)
			return err
		},
	} {
		if err := step(ctx); err != nil {
			return came, err
		}
	}
	return came, nil
}

func (c steered) lines() []line {
	return []line{
		same("held, then resumed", "Held/Person, Succeeded", c.held+", "+c.resumed),
		same("build that finished after a newer one", "Skipped/Superseded", c.older),
		same("deployed, then rolled back to", cartImage(3)+", "+cartImage(1), c.deployed+", "+c.rolledBack),
	}
}

func named(name string) *v1alpha1.PipelineReference { return &v1alpha1.PipelineReference{Name: name} }

func cartBuild(n int) string { return fmt.Sprintf("%s-%d", cart, n) }

func cartImage(n int) string { return fmt.Sprintf("registry.example.com/%s:%d", cart, n) }

func (s *stage) createCart(ctx context.Context) error {
	staging, production := pipeline(cartStaging, v1alpha1.ParentCiPipeline, cart), pipeline(cartProduction, v1alpha1.ParentCiPipeline, cart)
	staging.Spec.Application, production.Spec.Application = cart, cart
	production.Spec.Environment, production.Spec.Deploy.Trigger = "production", v1alpha1.TriggerManual
	objects := []client.Object{
		&v1alpha1.CiPipeline{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cart}},
		staging, production,
	}
	for n := 1; n <= 3; n++ {
		objects = append(objects, &v1alpha1.CiBuild{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cartBuild(n)},
			Spec:       v1alpha1.CiBuildSpec{PipelineRef: v1alpha1.PipelineReference{Name: cart}, Revision: "main"},
		})
	}
	for _, object := range objects {
		if err := s.cluster.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	// Builds of one second are ordered by when Penstock saw them first.
	return s.await(ctx, "the builds to be known", func(ctx context.Context) (bool, error) {
		var known int
		err := s.database.QueryRow(ctx, `SELECT count(*) FROM penstock.ci_build WHERE ci_pipeline = $1`, cart).Scan(&known)
		return known == 3, err
	})
}

func (s *stage) finishCart(ctx context.Context, n int) error {
	digest := "sha256:" + strings.Repeat(fmt.Sprint(n), 64)
	patch := fmt.Sprintf(`{"status":{"phase":"Succeeded","artifacts":[{"image":%q,"digest":%q}]}}`, cartImage(n), digest)
	build := &v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: cartBuild(n)}}
	if err := s.cluster.Status().Patch(ctx, build, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("finish build: %w", err)
	}
	return nil
}

// request creates a RunRequest, and returns when it was carried out.
func (s *stage) request(ctx context.Context, name string, spec v1alpha1.RunRequestSpec) error {
	request := &v1alpha1.RunRequest{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	if err := s.cluster.Create(ctx, request); err != nil {
		return fmt.Errorf("create RunRequest: %w", err)
	}
	err := s.await(ctx, "RunRequest "+name, func(ctx context.Context) (bool, error) {
		err := s.cluster.Get(ctx, client.ObjectKeyFromObject(request), request)
		return request.Status.Phase != "", err
	})
	fmt.Printf("  RunRequest %s: %s, %s\n", name, request.Status.Phase, request.Status.Message)
	return err
}

// awaitRun returns when the pipeline's last run is of the build and in the phase, as
// phase/reason.
func (s *stage) awaitRun(ctx context.Context, pipeline, build, phase string) (string, error) {
	var told string
	err := s.await(ctx, fmt.Sprintf("CdPipeline %s to be %s", pipeline, phase), func(ctx context.Context) (bool, error) {
		object := &v1alpha1.CdPipeline{}
		err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pipeline}, object)
		run := object.Status.LastRun
		if err != nil || run == nil || run.BuildName != build {
			return false, err
		}
		told = run.Phase
		if reason, _, found := strings.Cut(run.Message, ":"); found && run.Phase == "Held" {
			told += "/" + reason
		}
		return run.Phase == phase, nil
	})
	return told, err
}

// awaitDeployed returns when the pipeline says that it has deployed the n-th image.
func (s *stage) awaitDeployed(ctx context.Context, pipeline string, n int) (string, error) {
	var image string
	err := s.await(ctx, fmt.Sprintf("CdPipeline %s to have deployed %s", pipeline, cartImage(n)), func(ctx context.Context) (bool, error) {
		object := &v1alpha1.CdPipeline{}
		err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: pipeline}, object)
		if err != nil || len(object.Status.Deployed) == 0 {
			return false, err
		}
		image = object.Status.Deployed[0].Image
		return image == cartImage(n), nil
	})
	return image, err
}

// awaitDecision returns what was decided for the pipeline, as outcome/reason.
func (s *stage) awaitDecision(ctx context.Context, pipeline, build string) (string, error) {
	var decision string
	err := s.await(ctx, "the decision on build "+build, func(ctx context.Context) (bool, error) {
		const query = `SELECT COALESCE(max(outcome || '/' || reason), '') FROM penstock.trigger_decision WHERE pipeline = $1 AND build_name = $2`
		err := s.database.QueryRow(ctx, query, pipeline, build).Scan(&decision)
		return decision != "", err
	})
	return decision, err
}

func (s *stage) await(ctx context.Context, what string, is func(context.Context) (bool, error)) error {
	if err := wait.PollUntilContextTimeout(ctx, tick, timeout, true, is); err != nil {
		return fmt.Errorf("wait for %s: %w", what, err)
	}
	return nil
}
