package webhooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/sender"
)

const (
	// look is how often is looked whether something has happened; patience bounds that.
	look, patience = 250 * time.Millisecond, 15 * time.Minute
	// unlimited is the most that a Receiver may take in a minute.
	unlimited = 600_000
)

// subject is the server that is measured.
type subject struct {
	*fixture.Cluster
	server     *env.Server
	controller *env.Controller
	url        string // that of the Receiver
}

// prepare starts the server and the controller over pipelines and a Receiver.
func prepare(ctx context.Context, parts *env.Environment) (*subject, error) {
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	s := &subject{Cluster: cluster}
	err = s.begin(ctx)
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *subject) begin(ctx context.Context) (err error) {
	if err := s.Prepare(ctx, namespace); err != nil {
		return err
	}
	if err := errors.Join(s.InstallServer(ctx), s.InstallWebhooks(ctx)); err != nil {
		return err
	}
	if _, err := s.Kubectl(ctx, "-n", namespace, "create", "rolebinding", "penstock-webhooks", "--clusterrole=penstock-webhooks",
		"--serviceaccount="+env.ControllerNamespace+":penstock-server"); err != nil {
		return err
	}
	if err := s.Create(ctx, objects()...); err != nil {
		return err
	}
	if s.controller, err = s.StartController(ctx, env.ControllerOptions{}); err != nil {
		return err
	}
	if s.server, err = s.StartServer(ctx, env.ServerOptions{}); err != nil {
		return err
	}
	return s.awaitPath(ctx)
}

// close ends what it has started.
func (s *subject) close() {
	if s.server != nil {
		_ = s.server.Stop()
	}
	if s.controller != nil {
		_ = s.controller.Stop()
	}
}

// objects are the pipelines, which build main, and the Receiver.
func objects() []client.Object {
	objects := []client.Object{
		given.Secret("hooks", map[string]string{"token": token}),
		&v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{Name: receiver}, Spec: v1alpha1.ReceiverSpec{
			Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"},
			RateLimit: &v1alpha1.ReceiverRateLimit{PerMinute: unlimited},
		}},
	}
	for n := range repositories {
		objects = append(objects, given.CiPipeline(fmt.Sprintf("app-%d", n), func(pipeline *v1alpha1.CiPipeline) {
			pipeline.Spec.Source = &v1alpha1.Source{URL: fmt.Sprintf("https://github.com/team/app-%d", n), Revision: "main"}
		}))
	}
	for _, object := range objects {
		object.SetNamespace(namespace)
	}
	return objects
}

// awaitPath returns when the server takes what is sent to the Receiver.
func (s *subject) awaitPath(ctx context.Context) error {
	through := sender.NewClient(s.server.Roots(), false, 1)
	defer through.CloseIdleConnections()
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		object := &v1alpha1.Receiver{}
		err := s.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: receiver}, object)
		if err != nil || object.Status.Path == "" {
			return false, err
		}
		s.url = s.server.HooksURL + object.Status.Path
		answer, err := s.sender(through).Send(ctx, sender.Push("first", "team/first", "first"))
		return answer.Status == 202, err
	})
	if err != nil {
		return fmt.Errorf("wait until the Receiver receives: %w", err)
	}
	return nil
}

// deliveries are what is sent: always the same.
func deliveries(count int) []sender.Delivery {
	random := rand.New(rand.NewPCG(1, uint64(count)))
	all := make([]sender.Delivery, 0, count)
	for n := range count {
		if n%repeated == repeated-1 {
			all = append(all, all[random.IntN(len(all))])
			continue
		}
		branch := "dev"
		if n%built == 0 {
			branch = "main"
		}
		all = append(all, sender.Push(fmt.Sprintf("w-%d", n), fmt.Sprintf("team/app-%d", random.IntN(repositories)), branch))
	}
	return all
}
