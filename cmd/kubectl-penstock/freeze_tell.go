package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
)

// exist refuses a namespace that does not exist, where the user may see that.
func (p *caller) exist(ctx context.Context, namespaces []string) error {
	for _, name := range namespaces {
		err := p.cluster.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
		if !apierrors.IsNotFound(err) {
			continue
		}
		var all corev1.NamespaceList
		if p.cluster.List(ctx, &all) == nil {
			names := make([]string, len(all.Items))
			for i := range all.Items {
				names[i] = all.Items[i].Name
			}
			if near := nearest(name, names); near != "" {
				return fmt.Errorf("there is no namespace %q: did you mean %q?", name, near)
			}
		}
		return fmt.Errorf("there is no namespace %q: kubectl get namespaces lists them", name)
	}
	return nil
}

// maxWaiting is how many pipelines are named.
const maxWaiting = 10

// tell prints the freeze, and of which pipelines a run waits now, where the user may see them.
func (f *freezing) tell(command *cobra.Command, who *caller, freeze config.Freeze, what, becomes string) error {
	if f.output != "table" && f.output != "wide" {
		return f.print(command.OutOrStdout(), command.ErrOrStderr(), freeze, table{names: []string{"configmap/" + config.SettingsMap}})
	}
	fmt.Fprintln(command.OutOrStdout(), what+printable(f.sentence(freeze)))
	var all v1alpha1.CdPipelineList
	if err := who.cluster.List(command.Context(), &all); err != nil {
		return nil //nolint:nilerr // what was asked for is done, and the list is a courtesy
	}
	var waiting []string
	pipelines := 0
	for i := range all.Items {
		if pipeline := &all.Items[i]; len(freeze.Namespaces) == 0 || slices.Contains(freeze.Namespaces, pipeline.Namespace) {
			pipelines++
			if last := pipeline.Status.LastRun; last != nil && (last.Phase == "Held" || last.Phase == "Pending") {
				waiting = append(waiting, pipeline.Namespace+"/"+pipeline.Name)
			}
		}
	}
	line := fmt.Sprintf("%d CdPipelines are %s; a run waits now in %d", pipelines, becomes, len(waiting))
	if more := len(waiting) - maxWaiting; more > 0 {
		line += fmt.Sprintf(": %s and %d more", strings.Join(waiting[:maxWaiting], ", "), more)
	} else if len(waiting) > 0 {
		line += ": " + strings.Join(waiting, ", ")
	}
	fmt.Fprintln(command.OutOrStdout(), line)
	return nil
}
