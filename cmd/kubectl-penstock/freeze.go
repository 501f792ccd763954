package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/config"
)

// freezeHelp ends the help of freeze and unfreeze.
const freezeHelp = `

The command changes the setting FREEZE in the ConfigMap penstock-settings of Penstock's namespace
(--server-namespace) with your own credentials, and leaves every other setting as it is. You need the right
to get, create and update that ConfigMap, as the ClusterRole penstock-settings-editor grants it.

Exit codes: 0 done; 1 failed; 4 you have no right to do so.`

// freezing is a command that changes the setting FREEZE, and its flags.
type freezing struct {
	*options
	namespaces    []string
	until, reason string
	replace       bool
	now           func() time.Time
}

func freezeCommand(o *options) *cobra.Command {
	f := &freezing{options: o, now: time.Now}
	command := &cobra.Command{
		Use: "freeze --reason REASON", Short: "Stop all deployments, or those of some namespaces",
		Long: `Stop all deployments, or those of some namespaces: no CdPipeline starts PRE or DEPLOY; what comes is planned and
held. CI builds go on, and kubectl penstock resume with a reason passes a freeze.` + freezeHelp,
		Example: "  kubectl penstock freeze --reason 'stock-taking' --until 2026-12-27T08:00:00Z\n  kubectl penstock freeze --reason 'audit' --until 4h --namespace shop --namespace pay",
		Args:    arguments(cobra.NoArgs),
		RunE:    func(command *cobra.Command, _ []string) error { return f.freeze(command) },
	}
	flags := command.Flags()
	f.bindNamespaces(command, "namespace to freeze; may be repeated; by default all")
	flags.StringVar(&f.until, "until", "", "when it ends by itself: a time such as 2026-12-27T08:00:00Z, or a duration from now such as 4h; by default it stays until unfreeze")
	flags.StringVar(&f.reason, "reason", "", "why, for everybody whose deployments wait; required")
	flags.BoolVar(&f.replace, "replace", false, "take the place of a freeze that is in force")
	return command
}

// bindNamespaces puts a list in the place of the one namespace that other commands have.
func (f *freezing) bindNamespaces(command *cobra.Command, meaning string) {
	command.Flags().StringSliceVarP(&f.namespaces, "namespace", "n", nil, meaning)
	completeFlag(command, "namespace", f.completeNamespace)
}

func (f *freezing) freeze(command *cobra.Command) error {
	wanted, err := f.wanted()
	if err != nil {
		return err
	}
	who, err := f.caller()
	if err != nil {
		return err
	}
	if err := who.exist(command.Context(), f.namespaces); err != nil {
		return err
	}
	err = f.change(command.Context(), who, func(now config.Freeze) (config.Freeze, error) {
		if f.inForce(now) && !f.replace {
			return now, fmt.Errorf("deployments are frozen already (%s): kubectl penstock unfreeze ends that, and --replace takes its place", f.sentence(now))
		}
		return wanted, nil
	})
	if err != nil {
		return err
	}
	return f.tell(command, who, wanted, "deployments are frozen: ", "held")
}

// wanted is the freeze that the flags ask for.
func (f *freezing) wanted() (config.Freeze, error) {
	wanted := config.Freeze{Reason: strings.TrimSpace(f.reason), Namespaces: f.namespaces}
	if wanted.Reason == "" {
		return wanted, usage("say by --reason why deployments are frozen")
	}
	if f.until != "" {
		until, err := f.end()
		if err != nil {
			return wanted, err
		}
		wanted.Until = until
	}
	return wanted, validFreeze(wanted)
}

// end reads --until.
func (f *freezing) end() (time.Time, error) {
	now := f.now()
	until, err := time.Parse(time.RFC3339, f.until)
	if duration, wrong := time.ParseDuration(f.until); wrong == nil {
		until, err = now.Add(duration), nil
	}
	switch {
	case err != nil:
		return until, usage("--until %s: must be a time such as 2026-12-27T08:00:00Z, or a duration such as 4h", f.until)
	case !until.After(now):
		return until, usage("--until %s: is over already", f.until)
	}
	return until.UTC().Truncate(time.Second), nil
}

// inForce tells whether a freeze holds anything now.
func (f *freezing) inForce(freeze config.Freeze) bool {
	return freeze.Reason != "" && (freeze.Until.IsZero() || freeze.Until.After(f.now()))
}

// sentence is what a freeze holds, until when and why.
func (f *freezing) sentence(freeze config.Freeze) string {
	text := "in all namespaces"
	if len(freeze.Namespaces) > 0 {
		text = "in " + strings.Join(freeze.Namespaces, ", ")
	}
	if !freeze.Until.IsZero() {
		text += " until " + freeze.Until.UTC().Format(time.RFC3339)
	}
	return text + ": " + freeze.Reason
}
