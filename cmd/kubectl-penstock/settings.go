package main

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limiting"
)

func settingsCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use: "settings", Short: "Show and change the limits of the controller while it runs",
		Long: `Show and change the limits of the controller while it runs.

They are the keys of the ConfigMap penstock-settings in the namespace --server-namespace. The
controller sees a change within moments, puts it in force, and breaks nothing off that is in
flight. What it would refuse is not written. You need the right to get, create and update that
ConfigMap; get names where other values come from as far as you may read the controller's pods.`,
		Args: subcommand, SuggestionsMinimumDistance: 2,
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(settingsGetCommand(o), settingsSetCommand(o), settingsUnsetCommand(o))
	return command
}

func settingsSetCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "set KEY=VALUE...", Short: "Set limits, all of them or none",
		Example: "  kubectl penstock settings set CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=20\n  kubectl penstock settings set KUBE_API_QPS=100 KUBE_API_BURST=20",
		Args:    arguments(cobra.MinimumNArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			values, err := assignments(args)
			if err != nil {
				return err
			}
			return o.changeSettings(command, func(data map[string]string) error {
				maps.Copy(data, values)
				return nil
			})
		},
	}
}

func settingsUnsetCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "unset KEY...", Short: "Take keys out, so that what the environment says holds again",
		Args: arguments(cobra.MinimumNArgs(1)),
		RunE: func(command *cobra.Command, keys []string) error {
			return o.changeSettings(command, func(data map[string]string) error {
				for _, key := range keys {
					if _, isSet := data[key]; !isSet && unknownKey(key) != nil {
						return unknownKey(key)
					}
					delete(data, key)
				}
				return nil
			})
		},
	}
}

// assignments reads KEY=VALUE, and refuses what the controller would not take.
func assignments(args []string) (map[string]string, error) {
	values := map[string]string{}
	var problems []error
	for _, arg := range args {
		key, value, isAssignment := strings.Cut(arg, "=")
		_, twice := values[key]
		switch err := unknownKey(key); {
		case err != nil:
			problems = append(problems, err)
		case !isAssignment:
			problems = append(problems, fmt.Errorf("%s: expected %s=VALUE", key, key))
		case strings.TrimSpace(value) == "":
			problems = append(problems, fmt.Errorf("%s has no value: kubectl penstock settings unset %s gives back what the environment says", key, key))
		case twice:
			problems = append(problems, fmt.Errorf("%s is given twice", key))
		default:
			problems = append(problems, config.Refusals(map[string]string{key: value})...)
		}
		values[key] = value
	}
	if len(problems) > 0 {
		return nil, &exitError{code: exitUsage, err: errors.Join(problems...)}
	}
	return values, nil
}

// unknownKey is an error where no variable has that name.
func unknownKey(key string) error {
	var live []string
	for _, v := range config.Variables() {
		if v.Name == key {
			return nil
		}
		if v.Live {
			live = append(live, v.Name)
		}
	}
	if near := nearest(strings.ToUpper(key), live); near != "" {
		return usage("%s is no variable of Penstock: did you mean %s?", key, near)
	}
	return usage("%s is no variable of Penstock: can be set here are %s", key, strings.Join(live, ", "))
}

// changeSettings writes, and prints a line for each key that is another now.
func (o *options) changeSettings(command *cobra.Command, edit func(map[string]string) error) error {
	settings, err := o.settingsMap()
	if err != nil {
		return err
	}
	before, after, err := settings.change(command.Context(), edit)
	if err != nil {
		return err
	}
	changed := limiting.Changes(before, after)
	for _, one := range changed {
		fmt.Fprintln(command.OutOrStdout(), printable(one))
	}
	if len(changed) == 0 {
		fmt.Fprintf(command.ErrOrStderr(), "Nothing is changed: the ConfigMap %s says that already.\n", settings)
		return nil
	}
	fmt.Fprintf(command.ErrOrStderr(), "Written to the ConfigMap %s, which the controller follows: kubectl -n %s events --for configmap/%s tells what it has put in force.\n",
		settings, settings.namespace, config.SettingsMap)
	return nil
}
