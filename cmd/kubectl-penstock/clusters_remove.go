package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet/enroll"
)

func removeClusterCommand(o *options) *cobra.Command {
	var yes bool
	command := &cobra.Command{
		Use: "remove NAME", Short: "Remove a target cluster",
		Long: `Remove a TargetCluster, and its Secret where kubectl penstock clusters has made it and no other
TargetCluster uses it. Nothing changes in the cluster itself: to take the rights of
config/target back, delete it there.

--context and --kubeconfig name the cluster that Penstock runs in.`,
		Example: "  kubectl penstock clusters remove eu-1\n  kubectl penstock clusters remove eu-1 --yes",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			enroller, err := o.enroller(false)
			if err != nil {
				return err
			}
			found, err := enroller.Find(command.Context(), args[0])
			if apierrors.IsNotFound(err) {
				return notThere(command, enroller, args[0])
			}
			if err != nil {
				return explained(err)
			}
			if err := confirmed(command, yes, found); err != nil {
				return err
			}
			if err := enroller.Remove(command.Context(), found); err != nil {
				return explained(err)
			}
			printRemoval(command.OutOrStdout(), found)
			return nil
		},
	}
	command.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return command
}

// notThere names the nearest TargetCluster.
func notThere(command *cobra.Command, enroller *enroll.Enroller, name string) error {
	var all v1alpha1.TargetClusterList
	if err := enroller.Client.List(command.Context(), &all); err == nil {
		names := make([]string, len(all.Items))
		for i := range all.Items {
			names[i] = all.Items[i].Name
		}
		if near := nearest(name, names); near != "" {
			return fmt.Errorf("there is no TargetCluster %q: did you mean %q?", name, near)
		}
	}
	return fmt.Errorf("there is no TargetCluster %q: kubectl get targetclusters lists them", name)
}

// confirmed asks on a terminal.
func confirmed(command *cobra.Command, yes bool, found enroll.Removal) error {
	if yes {
		return nil
	}
	if !isTerminal(command.InOrStdin()) {
		return usage("to remove TargetCluster %s without being asked, use --yes", found.Cluster.Name)
	}
	question := "Remove TargetCluster " + found.Cluster.Name
	if found.Secret != nil {
		question += " and Secret " + found.Secret.Namespace + "/" + found.Secret.Name
	}
	return ask(command.InOrStdin(), command.ErrOrStderr(), question+"? [y/N] ")
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask returns an error unless the answer is yes.
func ask(in io.Reader, out io.Writer, question string) error {
	fmt.Fprint(out, question)
	answer, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was removed")
}

// printRemoval names what was removed, and the Secret that was kept.
func printRemoval(out io.Writer, found enroll.Removal) {
	fmt.Fprintln(out, "targetcluster/"+found.Cluster.Name, "removed")
	switch {
	case found.Secret != nil:
		fmt.Fprintln(out, "secret/"+found.Secret.Name, "removed")
	case found.Kept != "":
		fmt.Fprintln(out, "Secret "+found.Kept+": it was kept")
	}
}
