package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/config"
)

func unfreezeCommand(o *options) *cobra.Command {
	f := &freezing{options: o, now: time.Now}
	command := &cobra.Command{
		Use: "unfreeze", Short: "Let deployments go on that are frozen",
		Long: `Let deployments go on that are frozen: in all namespaces, or in some of those that the freeze names. What waits
because of it goes on.` + freezeHelp,
		Example: "  kubectl penstock unfreeze\n  kubectl penstock unfreeze --namespace shop",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(command *cobra.Command, _ []string) error { return f.unfreeze(command) },
	}
	f.bindNamespaces(command, "namespace to unfreeze; may be repeated; by default all")
	return command
}

func (f *freezing) unfreeze(command *cobra.Command) error {
	who, err := f.caller()
	if err != nil {
		return err
	}
	var before, after config.Freeze
	err = f.change(command.Context(), who, func(now config.Freeze) (next config.Freeze, err error) {
		before = now
		after, err = f.without(now)
		return after, err
	})
	switch {
	case err != nil:
		return err
	case !f.inForce(before):
		fmt.Fprintln(command.ErrOrStderr(), "note: no deployments were frozen")
		return nil
	case f.inForce(after):
		return f.tell(command, who, after, "deployments go on in "+strings.Join(f.namespaces, ", ")+", and stay frozen ", "held")
	}
	return f.tell(command, who, before, "deployments go on that were frozen ", "let go on")
}

// without is a freeze that does not hold the namespaces any more.
func (f *freezing) without(now config.Freeze) (config.Freeze, error) {
	if len(f.namespaces) == 0 || !f.inForce(now) {
		return config.Freeze{}, nil
	}
	if len(now.Namespaces) == 0 {
		return now, fmt.Errorf("the freeze is of all namespaces, and can't be ended in some: end it by kubectl penstock unfreeze, and freeze the others by --namespace")
	}
	for _, namespace := range f.namespaces {
		if !slices.Contains(now.Namespaces, namespace) {
			return now, fmt.Errorf("namespace %s is not frozen: the freeze is %s", namespace, f.sentence(now))
		}
	}
	next := now
	next.Namespaces = slices.DeleteFunc(slices.Clone(now.Namespaces), func(name string) bool { return slices.Contains(f.namespaces, name) })
	if len(next.Namespaces) == 0 {
		return config.Freeze{}, nil
	}
	return next, nil
}
