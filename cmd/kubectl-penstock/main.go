// Command kubectl-penstock is the kubectl plugin: it asks `penstock server` and the
// API server, with the credentials of the kubeconfig, and prints what they answer.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

// Exit codes.
const (
	exitFailed  = 1 // the server can't be reached, or has failed
	exitUsage   = 2 // a flag or an argument is wrong
	exitPartial = 3 // a part of the answer is missing; the rest was printed
	exitRefused = 4 // the credentials are not accepted, or a right is missing
)

// exitError ends the process with a code.
type exitError struct {
	code int
	err  error
}

// Error implements error.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns what failed.
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole command: data goes to out, all else to errOut.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	written := &output{Writer: out}
	if !isScreen(out) { // a command may draw there
		out = written
	}
	root := newRoot(out, errOut)
	root.SetArgs(args)
	err := cmp.Or(root.ExecuteContext(ctx), written.failure())
	if err == nil {
		return 0
	}
	fmt.Fprintln(errOut, "error:", printableLines(err.Error())) // it may quote what a cluster answers
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return exitFailed
}

// output remembers that something could not be written, which most commands do not look at.
type output struct {
	io.Writer
	mu  sync.Mutex
	err error
}

// Write implements io.Writer.
func (o *output) Write(text []byte) (int, error) {
	n, err := o.Writer.Write(text)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.err = cmp.Or(o.err, err)
	}
	return n, err //nolint:wrapcheck // it stands for the writer
}

// failure is why the output is not whole; nil where it is.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		return nil
	}
	return fmt.Errorf("write the output: %w", o.err)
}

// commands are all there are, in the order of the help.
var commands = []func(*options) *cobra.Command{
	statusCommand,
	buildsCommand,
	buildCommand,
	triggerCommand,
	retryCommand,
	resumeCommand,
	cancelCommand,
	rollbackCommand,
	holdCommand,
	releaseCommand,
	freezeCommand,
	unfreezeCommand,
	runsCommand,
	logsCommand,
	explainCommand,
	simulateCommand,
	queueCommand,
	topCommand,
	wavesCommand,
	waveCommand,
	clustersCommand,
	getCommand,
	notifyCommand,
	webhookDeliveriesCommand,
	redeliverCommand,
	tuneCommand,
	settingsCommand,
	doctorCommand,
	dashboardCommand,
	versionCommand,
}

func newRoot(out, errOut io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "penstock",
		Short: "Ask Penstock what is built, deployed and waiting, and why",
		Long: `Ask Penstock what is built, deployed and waiting, and why.

The plugin talks to penstock server with the credentials of the kubeconfig. The server is
that of --server, of $PENSTOCK_SERVER, or of the ConfigMap penstock-server in the namespace
--server-namespace; where that is an address inside the cluster, a port-forward is opened,
which needs the right to create pods/portforward there. The commands that act (build, trigger, retry,
resume, cancel, rollback, hold, release, freeze and unfreeze) need the API server and the controller
alone; simulate needs the API server, or files.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a part of the answer is missing, 4 refused.`,
		SilenceUsage: true, SilenceErrors: true, SuggestionsMinimumDistance: 2,
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl penstock"},
		Args:        subcommand,
		RunE:        func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	o := newOptions()
	o.bind(root.PersistentFlags())
	for _, command := range commands {
		root.AddCommand(command(o))
	}
	o.completeOptions(root)
	return root
}

// subcommand refuses arguments: what is there is a command that does not exist.
func subcommand(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if near := command.SuggestionsFor(args[0]); len(near) > 0 {
		return usage("unknown command %q: did you mean %q?", args[0], near[0])
	}
	return usage("unknown command %q: see %s --help", args[0], command.CommandPath())
}

// arguments is cobra's check of the arguments, as wrong usage.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if err := check(command, args); err != nil {
			return usage("%w: %s", err, command.UseLine())
		}
		return nil
	}
}
