package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
)

func addClusterCommand(o *options) *cobra.Command {
	e := &enrollOptions{options: o}
	command := &cobra.Command{
		Use: "add NAME", Short: "Add the cluster of a context of your kubeconfig",
		Long: `Add the cluster of a context of your kubeconfig: a TargetCluster of that name, and a Secret
with a kubeconfig that has this one context, with the certificates from the files that it
names. A context that gets its credentials from a program, or from a file with a token, can't
be stored: use --least-rights. When you repeat the command, it writes what has changed.

Without --least-rights Penstock gets the context's own credentials, and may do in the cluster
whatever its user may. With it, Penstock gets the token of config/target, which may read the
kinds that are shown and nothing else; your own credentials only read that token.` + whereHelp,
		Example: "  kubectl --context eu-1 apply -k config/target\n  kubectl penstock clusters add eu-1 --context eu-1 --least-rights --labels region=eu\n" +
			"  kubectl penstock clusters add eu-1 --context eu-1 --dry-run -o yaml",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error { return e.add(command, args[0]) },
	}
	e.bind(command.Flags())
	e.bindLeastRights(command.Flags())
	command.Flags().StringVar(&e.context, "context", "", "context of the cluster to add; required, unless --kubeconfig is given, whose current one is the default")
	return command
}

func (e *enrollOptions) add(command *cobra.Command, name string) error {
	if !enroll.IsName(name) {
		if valid, err := enroll.NameOf(name); err == nil {
			return usage("%q is not a valid name: did you mean %q?", name, valid)
		}
		return usage("%q is not a valid name: use lower-case letters, digits, dashes and dots", name)
	}
	if e.context == "" && e.kubeconfig == "" {
		return usage("name the context of the cluster to add by --context: kubectl config get-contexts lists them")
	}
	if err := e.check(); err != nil {
		return err
	}
	config, err := e.source()
	if err != nil {
		return err
	}
	if e.context == "" {
		e.context = config.CurrentContext
	}
	found := enroll.FromContext(command.Context(), config, e.context, e.credentials())
	found.Name = name
	if found.Err != nil {
		return explained(fmt.Errorf("TargetCluster %s was not added from context %q: %w", name, e.context, found.Err))
	}
	if !e.leastRights {
		fmt.Fprintf(command.ErrOrStderr(), "note: Penstock gets the credentials of context %q, and may do whatever they allow: --least-rights stores a token that may only read\n", e.context)
	}
	return e.enrollAll(command, []enroll.Candidate{found})
}
