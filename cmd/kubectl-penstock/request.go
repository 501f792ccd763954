package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// answerTimeout is how long the answer to a RunRequest is waited for, and answerInterval how
	// often it is looked for.
	answerTimeout, answerInterval = 30 * time.Second, 250 * time.Millisecond
)

// request creates a RunRequest in the user's namespace, with the user's own rights, waits for the
// controller's answer and prints it. A request that is refused is an error.
func (o *options) request(command *cobra.Command, spec v1alpha1.RunRequestSpec) error {
	home, namespace, err := o.cluster()
	if err != nil {
		return err
	}
	cluster, err := clientOfCluster(home)
	if err != nil {
		return err
	}
	asked := &v1alpha1.RunRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "kubectl-"},
		Spec:       spec,
	}
	if err := cluster.Create(command.Context(), asked); err != nil {
		return explainedOf(fmt.Errorf("create the RunRequest: %w", err), "RunRequests")
	}
	if err := awaitAnswer(command, cluster, asked); err != nil {
		return err
	}
	return o.printAnswer(command, asked)
}

// awaitAnswer waits until the controller has said what becomes of a request.
func awaitAnswer(command *cobra.Command, cluster client.Reader, asked *v1alpha1.RunRequest) error {
	progress := progressOn(command.ErrOrStderr())
	defer progress("")
	ctx, cancel := context.WithTimeout(command.Context(), answerTimeout)
	defer cancel()
	for asked.Status.Phase == "" {
		progress("RunRequest " + asked.Name + " waits for Penstock's controller")
		select {
		case <-ctx.Done():
			return unanswered(command.Context(), asked)
		case <-time.After(answerInterval):
		}
		if err := cluster.Get(ctx, client.ObjectKeyFromObject(asked), asked); err != nil {
			if ctx.Err() != nil {
				return unanswered(command.Context(), asked)
			}
			return explainedOf(fmt.Errorf("RunRequest %s was created, but its answer can't be read: %w", asked.Name, err), "RunRequests")
		}
	}
	return nil
}

// unanswered is the error that a request has no answer yet. It stays in force.
func unanswered(ctx context.Context, asked *v1alpha1.RunRequest) error {
	told := fmt.Sprintf("kubectl get runrequest %s -n %s tells the answer: it is carried out when Penstock's controller runs, unless you delete it", asked.Name, asked.Namespace)
	if ctx.Err() != nil {
		return fmt.Errorf("RunRequest %s was created and has no answer yet: %s: %w", asked.Name, told, ctx.Err())
	}
	return fmt.Errorf("RunRequest %s has no answer after %s: %s", asked.Name, answerTimeout, told)
}

// printAnswer prints what was done. What was refused is an error.
func (o *options) printAnswer(command *cobra.Command, asked *v1alpha1.RunRequest) error {
	if asked.Status.Phase == v1alpha1.RequestRefused {
		return errors.New(asked.Status.Message)
	}
	if o.output == "table" || o.output == "wide" {
		fmt.Fprintln(command.OutOrStdout(), printable(asked.Status.Message))
		return nil
	}
	asked.APIVersion, asked.Kind = v1alpha1.GroupVersion.String(), "RunRequest"
	asked.ManagedFields = nil
	return o.print(command.OutOrStdout(), command.ErrOrStderr(), asked, table{names: []string{"runrequest/" + asked.Name}})
}
