package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
)

// completeTimeout bounds what a shell waits for names.
const completeTimeout = 3 * time.Second

// flagKinds are the kinds that flags of commands name which ask for something.
var flagKinds = map[string]string{"build": "CiBuild", "pipeline": "CdPipeline"}

// completing completes the argument of a command, and flags, by the names of objects that the
// API server knows: kind is that of the argument, and kinds are those of flags.
func completing(command *cobra.Command, o *options, kind string, kinds map[string]string) *cobra.Command {
	command.ValidArgsFunction = func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return o.complete(command, typed, kind), cobra.ShellCompDirectiveNoFileComp
	}
	for flag, kind := range kinds {
		if command.Flags().Lookup(flag) != nil {
			completeFlag(command, flag, func(command *cobra.Command, typed string) []string { return o.complete(command, typed, kind) })
		}
	}
	return command
}

// completeFlag completes a flag by what names returns.
func completeFlag(command *cobra.Command, flag string, names func(command *cobra.Command, typed string) []string) {
	err := command.RegisterFlagCompletionFunc(flag, func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return names(command, typed), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic("complete --" + flag + ": " + err.Error()) // the command has no such flag
	}
}

// complete returns the names of a kind that begin as typed: cdpipeline/we as well, where the
// argument of a command may be that. It returns nothing where the API server does not answer.
func (o *options) complete(command *cobra.Command, typed, kind string) []string {
	prefix := ""
	if before, _, found := strings.Cut(typed, "/"); found {
		prefix = before + "/"
		kind = map[string]string{subjectBuild: "CiBuild", subjectPipeline: "CdPipeline"}[subjectKinds[before]]
	}
	who, err := o.caller()
	if err != nil || kind == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(command.Context(), completeTimeout)
	defer cancel()
	names, err := who.names(ctx, kind)
	if err != nil {
		return nil
	}
	return startingWith(prefix, names, typed)
}

func startingWith(prefix string, names []string, typed string) []string {
	var found []string
	for _, name := range names {
		if strings.HasPrefix(prefix+name, typed) {
			found = append(found, prefix+name)
		}
	}
	return found
}

// completeOptions completes the flags of every command.
func (o *options) completeOptions(root *cobra.Command) {
	completeFlag(root, "output", func(*cobra.Command, string) []string { return outputs })
	completeFlag(root, "context", func(*cobra.Command, string) []string {
		raw, err := o.rules.Load()
		if err != nil {
			return nil
		}
		var names []string
		for name := range raw.Contexts {
			names = append(names, name)
		}
		return names
	})
	for _, flag := range []string{"namespace", "server-namespace"} {
		completeFlag(root, flag, o.completeNamespace)
	}
}

func (o *options) completeNamespace(command *cobra.Command, typed string) []string {
	who, err := o.caller()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(command.Context(), completeTimeout)
	defer cancel()
	var namespaces corev1.NamespaceList
	if err := who.cluster.List(ctx, &namespaces); err != nil {
		return nil
	}
	names := make([]string, len(namespaces.Items))
	for i := range namespaces.Items {
		names[i] = namespaces.Items[i].Name
	}
	return startingWith("", names, typed)
}

// completeApplication asks penstock server: applications are no objects.
func (o *options) completeApplication(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(command.Context(), completeTimeout)
	defer cancel()
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	connected, err := o.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer connected.close()
	list, err := allApplications(ctx, connected)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, len(list.Items))
	for i := range list.Items {
		names[i] = list.Items[i].Name
	}
	return startingWith("", names, typed), cobra.ShellCompDirectiveNoFileComp
}
