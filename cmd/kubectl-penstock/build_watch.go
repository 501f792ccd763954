package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// watchInterval is how often a build that is watched is read.
const watchInterval = time.Second

// watch prints a line for each change of a build until there is nothing more to wait for.
func (p *caller) watch(command *cobra.Command, build *v1alpha1.CiBuild) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	told := ""
	for ctx := command.Context(); ; {
		if line := standing(build); line != told {
			fmt.Fprintln(command.OutOrStdout(), printable(line))
			told = line
		}
		if isOver(build) {
			return p.verdict(command, build)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("interrupted: CiBuild %s goes on; kubectl penstock cancel build %s -n %s ends it", build.Name, build.Name, build.Namespace)
		case <-ticker.C:
		}
		if err := p.cluster.Get(ctx, client.ObjectKeyFromObject(build), build); err != nil && ctx.Err() == nil {
			return gone("CiBuild", build.Name, err)
		}
	}
}

// standing is where a build stands, in a line.
func standing(build *v1alpha1.CiBuild) string {
	status := build.Status
	line := build.Name + " " + reasoned(string(phaseOf(build)), status.Reason)
	if status.Message != "" {
		line += ": " + status.Message
	}
	if status.Phase != v1alpha1.BuildSucceeded {
		return line
	}
	for _, artifact := range status.Artifacts {
		line += " " + artifact.Image
	}
	if planned(build) {
		line += fmt.Sprintf(", triggered %s, skipped %d", status.Triggers.Progress, status.Triggers.Skipped)
	}
	return line
}

func phaseOf(build *v1alpha1.CiBuild) v1alpha1.BuildPhase {
	if build.Status.Phase == "" {
		return v1alpha1.BuildPending
	}
	return build.Status.Phase
}

// planned tells whether it is known which runs come of the build.
func planned(build *v1alpha1.CiBuild) bool {
	return meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionPlanned) && build.Status.Triggers != nil
}

// isOver tells whether a build has ended, and no run of it waits for a slot. One that is held
// may wait for a person for days.
func isOver(build *v1alpha1.CiBuild) bool {
	if build.Status.Phase != v1alpha1.BuildSucceeded {
		return build.Status.Phase.IsTerminal()
	}
	triggered := meta.FindStatusCondition(build.Status.Conditions, v1alpha1.ConditionTriggered)
	if !planned(build) || triggered == nil {
		return false
	}
	return triggered.Status == "True" || build.Status.Triggers.Pending == 0
}

func (p *caller) verdict(command *cobra.Command, build *v1alpha1.CiBuild) error {
	if build.Status.Phase != v1alpha1.BuildSucceeded {
		return fmt.Errorf("CiBuild %s ended as %s", build.Name, reasoned(string(build.Status.Phase), build.Status.Reason))
	}
	if held := build.Status.Triggers.Held; held > 0 {
		fmt.Fprintf(command.ErrOrStderr(), "%d runs wait for their turn or for a person: kubectl penstock builds %s tells which\n", held, build.Name)
	}
	return nil
}
