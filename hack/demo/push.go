package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/sender"
)

// The application that is pushed to, and what receives that.
const (
	mug        = "mug"
	mugStaging = "mug-staging"
	pushes     = "pushes" // the Receiver, and its Secret
	pushToken  = "the demo's token"
)

// pushed is what came of a push that was sent twice.
type pushed struct {
	answers  string // statuses, and whether it was a duplicate
	delivery string // its outcome
	builds   int
	deployed string
}

// startServer starts the server, with the rights of config/server.
func startServer(ctx context.Context, local *env.Environment) (*env.Server, error) {
	fmt.Println("Starting the server, with the rights of config/server")
	if err := local.InstallServer(ctx); err != nil {
		return nil, err
	}
	return local.StartServer(ctx, env.ServerOptions{})
}

// push sends a webhook, signed as GitHub signs, twice, and returns when it is built and deployed.
func (s *stage) push(ctx context.Context, local *env.Environment, server *env.Server) (pushed, error) {
	var came pushed
	fmt.Printf("Pushing to the repository of %s: a webhook that is signed, and sent twice\n", mug)
	path, err := s.createReceiver(ctx, local)
	if err != nil {
		return came, err
	}
	through := sender.NewClient(server.Roots(), false, 1)
	defer through.CloseIdleConnections()
	github := &sender.Sender{Type: v1alpha1.ReceiverGitHub, URL: server.HooksURL + path, Token: pushToken, Client: through}
	var first, second sender.Answer
	err = s.await(ctx, "the webhook to be accepted", func(ctx context.Context) (_ bool, err error) {
		first, err = github.Send(ctx, sender.Push("push-1", "team/"+mug, "main"))
		return first.Status == http.StatusAccepted, err
	})
	if err != nil {
		return came, err
	}
	if second, err = github.Send(ctx, sender.Push("push-1", "team/"+mug, "main")); err != nil {
		return came, err
	}
	came.answers = fmt.Sprintf("%d, %d duplicate %t", first.Status, second.Status, second.Duplicate && second.ID == first.ID)
	err = s.awaitPushed(ctx, first.ID, &came)
	return came, err
}

// createReceiver creates the pipelines and a Receiver, whose path it returns.
func (s *stage) createReceiver(ctx context.Context, local *env.Environment) (string, error) {
	if err := local.InstallWebhooks(ctx); err != nil {
		return "", err
	}
	_, err := local.Kubectl(ctx, "-n", namespace, "create", "rolebinding", "penstock-webhooks", "--clusterrole=penstock-webhooks",
		"--serviceaccount="+env.ControllerNamespace+":penstock-server")
	if err != nil {
		return "", err
	}
	staging := pipeline(mugStaging, v1alpha1.ParentCiPipeline, mug)
	staging.Spec.Application = mug
	receiver := &v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: pushes}, Spec: v1alpha1.ReceiverSpec{
		Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: pushes},
	}}
	for _, object := range []client.Object{
		given.CiPipeline(mug, given.Builds(buildTemplate), func(pipeline *v1alpha1.CiPipeline) {
			pipeline.Spec.Source = &v1alpha1.Source{URL: "git@github.com:team/" + mug + ".git", Revision: "main"}
		}),
		staging, given.Secret(pushes, map[string]string{"token": pushToken}), receiver,
	} {
		object.SetNamespace(namespace)
		if err := s.cluster.Create(ctx, object); err != nil {
			return "", fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	err = s.await(ctx, "the path of the Receiver", func(ctx context.Context) (bool, error) {
		err := s.cluster.Get(ctx, client.ObjectKeyFromObject(receiver), receiver)
		return receiver.Status.Path != "", err
	})
	return receiver.Status.Path, err
}

// awaitPushed returns when the build of a delivery is deployed.
func (s *stage) awaitPushed(ctx context.Context, delivery string, came *pushed) error {
	var message string
	err := s.await(ctx, "the delivery to be worked off", func(ctx context.Context) (bool, error) {
		const query = `SELECT COALESCE(max(message), '') FROM penstock.webhook_delivery WHERE id = $1::text::bigint AND status IN ('Done', 'Failed')`
		err := s.database.QueryRow(ctx, query, delivery).Scan(&message)
		return message != "", err
	})
	if err != nil {
		return err
	}
	fmt.Printf("  delivery %s: %s\n", delivery, message)
	outcome, build, _ := strings.Cut(message, " ")
	came.delivery = outcome
	err = s.await(ctx, "what was pushed to be deployed", func(ctx context.Context) (bool, error) {
		object := &v1alpha1.CdPipeline{}
		err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: mugStaging}, object)
		if err == nil && len(object.Status.Deployed) > 0 && object.Status.Deployed[0].BuildName == build {
			came.deployed = "its build"
		}
		return came.deployed != "", err
	})
	if err != nil {
		return err
	}
	var builds v1alpha1.CiBuildList
	if err := s.cluster.List(ctx, &builds, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list builds: %w", err)
	}
	for i := range builds.Items {
		if builds.Items[i].Cause() == v1alpha1.CauseWebhook {
			came.builds++
		}
	}
	return nil
}

func (p pushed) lines() []line {
	return []line{
		same("signed push, sent twice", "202, 202 duplicate true", p.answers),
		same("came of it", "Built, 1 build", fmt.Sprintf("%s, %d build", p.delivery, p.builds)),
		same("deployed after the push", "its build", p.deployed),
	}
}
