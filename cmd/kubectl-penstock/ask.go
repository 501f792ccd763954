package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// answerWait is for how long the answer to a RunRequest is waited for, and answerInterval
	// how often it is looked for.
	answerWait, answerInterval = 30 * time.Second, 200 * time.Millisecond
)

// asksHelp ends the help of every command that makes a RunRequest.
const asksHelp = `

The command creates a RunRequest with your own credentials, waits for its answer, and prints it.
You need the right to create runrequests, and the verb %s on the %s, as the ClusterRole
%s grants both.

Exit codes: 0 done; 1 Penstock refused, and says why; 4 you have no right to do so.`

// asking is a command that makes a RunRequest, and its flags.
type asking struct {
	*options
	action v1alpha1.Action
	reason string
	// build and pipeline complete what the argument leaves open.
	build, pipeline string
	stage           string
	allowOlder      bool
	watch           bool
}

// bindReason binds the flag that every such command has.
func (a *asking) bindReason(flags *pflag.FlagSet) {
	flags.StringVar(&a.reason, "reason", "", "why you ask, for everybody who reads the history")
}

func (a *asking) bindWatch(flags *pflag.FlagSet) {
	flags.BoolVarP(&a.watch, "watch", "w", false, "print a line for each change until the run has ended")
}

// ask creates a RunRequest, and prints what became of it.
func (a *asking) ask(command *cobra.Command, who *caller, spec v1alpha1.RunRequestSpec) error {
	ctx := command.Context()
	spec.Action, spec.Reason, spec.AllowOlder, spec.Stage = a.action, a.reason, a.allowOlder, a.stage
	request, err := who.request(ctx, spec)
	if err != nil {
		return err
	}
	if err := a.printAnswer(command.OutOrStdout(), command.ErrOrStderr(), request); err != nil {
		return err
	}
	if request.Status.Phase == v1alpha1.RequestRefused {
		return errors.New("refused: " + who.worded(ctx, request))
	}
	if spec.PipelineRef == nil {
		return nil
	}
	if a.watch {
		out := command.OutOrStdout()
		if a.output != "table" && a.output != "wide" {
			out = command.ErrOrStderr() // programs read the request alone
		}
		return who.watchRun(command, out, request)
	}
	who.tellNext(command, request)
	return nil
}

// printAnswer prints the message for people, and the whole request for programs. People read
// a refusal as an error.
func (a *asking) printAnswer(out, errOut io.Writer, request *v1alpha1.RunRequest) error {
	if a.output != "table" && a.output != "wide" {
		return a.print(out, errOut, request, table{names: []string{"runrequest/" + request.Name}})
	}
	if request.Status.Phase != v1alpha1.RequestRefused {
		fmt.Fprintln(out, printable(request.Status.Message))
	}
	return nil
}

// request creates a RunRequest in the user's name, and returns it with its answer.
func (p *caller) request(ctx context.Context, spec v1alpha1.RunRequestSpec) (*v1alpha1.RunRequest, error) {
	spec.By = p.name(ctx, maxRequestBy)
	request := &v1alpha1.RunRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, GenerateName: aboutOf(spec) + "-" + strings.ToLower(string(spec.Action)) + "-"},
		Spec:       spec,
	}
	creating, end := outliving(ctx, interruptWait)
	defer end()
	if err := p.cluster.Create(creating, request); err != nil {
		return nil, withRole(fmt.Errorf("create a RunRequest: %w", err), "RunRequests", roleFor(spec))
	}
	err := p.await(ctx, request)
	request.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RunRequest"} // the answer has none
	return request, err
}

// interruptWait is how long the answer to a create is waited for that somebody has interrupted.
const interruptWait = 5 * time.Second

// outliving returns a context that ends so long after ctx: what was asked for may have been done,
// and only the answer tells.
func outliving(ctx context.Context, wait time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(wait, cancel) })
	return longer, func() {
		stop()
		cancel()
	}
}

// aboutOf is the name of the object that a request is about.
func aboutOf(spec v1alpha1.RunRequestSpec) string {
	if spec.Target != nil {
		return spec.Target.Name
	}
	return spec.PipelineRef.Name
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
