package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// answerWait is for how long the answer to a RunRequest is waited for, and answerInterval
	// how often it is looked for.
	answerWait, answerInterval = 30 * time.Second, 200 * time.Millisecond
)

func cancelCommand(o *options) *cobra.Command {
	return askCommand(o, v1alpha1.ActionCancel, "Cancel a build that runs here",
		"Cancel a build that runs here: what waits ends at once, and the Workflow of one that runs is stopped.")
}

func retryCommand(o *options) *cobra.Command {
	return askCommand(o, v1alpha1.ActionRetry, "Build the same again, as a build of its own",
		"Build the same again: a build that has ended stays as it is, and another one is made of the\nsame pipeline, revision and ref.")
}

// askCommand asks for an action on a build.
func askCommand(o *options, action v1alpha1.Action, short, long string) *cobra.Command {
	verb, reason := strings.ToLower(string(action)), ""
	command := &cobra.Command{
		Use: verb + " [build] NAME", Short: short,
		Long: long + `

The command creates a RunRequest with your own credentials, waits for its answer, and prints
it. You need the right to create runrequests and the verb ` + verb + ` on the cibuild, as the
ClusterRole penstock-builder grants both.

Exit codes: 0 done; 1 Penstock refused, and says why; 4 you have no right to do so.`,
		Example: "  kubectl penstock " + verb + " build shop-x7k2p\n  kubectl penstock " + verb + " shop-x7k2p --reason 'wrong branch'",
		Args:    arguments(cobra.RangeArgs(1, 2)),
		RunE: func(command *cobra.Command, args []string) error {
			name, err := buildNamed(command, args)
			if err != nil {
				return err
			}
			who, err := o.caller()
			if err != nil {
				return err
			}
			return who.ask(command, v1alpha1.RunRequestSpec{
				Action: action, Reason: reason, Target: &v1alpha1.ObjectReference{Kind: "CiBuild", Name: name},
			})
		},
	}
	command.Flags().StringVar(&reason, "reason", "", "why you ask, for everybody who reads the history")
	return command
}

// buildNamed is the build that the arguments name, with the word build before it or without.
func buildNamed(command *cobra.Command, args []string) (string, error) {
	switch {
	case len(args) == 1 && args[0] != "build":
		return strings.TrimPrefix(args[0], "cibuild/"), nil
	case len(args) == 2 && args[0] == "build":
		return strings.TrimPrefix(args[1], "cibuild/"), nil
	}
	return "", usage("expected the name of a build: %s", command.UseLine())
}

// ask creates a RunRequest, and prints what became of it.
func (p *caller) ask(command *cobra.Command, spec v1alpha1.RunRequestSpec) error {
	ctx := command.Context()
	spec.By = p.name(ctx, maxRequestBy)
	request := &v1alpha1.RunRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, GenerateName: spec.Target.Name + "-" + strings.ToLower(string(spec.Action)) + "-"},
		Spec:       spec,
	}
	if err := p.cluster.Create(ctx, request); err != nil {
		return explainedOf(fmt.Errorf("create a RunRequest: %w", err), "RunRequests")
	}
	if err := p.await(ctx, request); err != nil {
		return err
	}
	if request.Status.Phase == v1alpha1.RequestRefused {
		return errors.New("refused: " + request.Status.Message)
	}
	fmt.Fprintln(command.OutOrStdout(), printable(request.Status.Message))
	return nil
}

// await reads the request until it has an answer.
func (p *caller) await(ctx context.Context, request *v1alpha1.RunRequest) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	ticker := time.NewTicker(answerInterval)
	defer ticker.Stop()
	for request.Status.Phase == "" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("RunRequest %s was created, and has no answer yet: kubectl -n %s get runrequest %s -o wide tells it; "+
				"if that does not come, see whether the Penstock controller runs", request.Name, p.namespace, request.Name)
		case <-ticker.C:
		}
		if err := p.cluster.Get(ctx, client.ObjectKeyFromObject(request), request); err != nil && ctx.Err() == nil {
			return gone("RunRequest", request.Name, err)
		}
	}
	return nil
}
