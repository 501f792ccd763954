package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/pkg/config"
)

// setting is the value of one variable and where it comes from.
type setting struct {
	Key string `json:"key"`
	// Value is empty where it is not known, or is never shown.
	Value string `json:"value"`
	From  string `json:"from"`
	// Live tells that it can be changed here.
	Live    bool   `json:"live"`
	Default string `json:"default"`
	Allowed string `json:"allowed"`
	Meaning string `json:"meaning"`
	// Problem is what the controller says of the ConfigMap's value, which it does not take.
	Problem string `json:"problem,omitempty"`
}

// Where a value may come from.
const (
	fromConfigMap   = "ConfigMap " + config.SettingsMap
	fromEnvironment = "environment"
	fromDefault     = "default"
	fromUnknown     = "not known"
)

func settingsGetCommand(o *options) *cobra.Command {
	var all bool
	command := &cobra.Command{
		Use: "get [KEY...]", Short: "Print the values in force, and where each comes from",
		Long: `Print the values in force, and where each comes from: the ConfigMap penstock-settings, the
environment of the controller's pod, or the default. Without keys these are the limits that
can be changed while the controller runs; --all prints the others too, which take a change of
the Deployment.

The environment is read from the pod that leads. Where you may not read it, or where the
controller is no pod, the command says that it does not know.`,
		RunE: func(command *cobra.Command, keys []string) error {
			for _, key := range keys {
				if err := unknownKey(key); err != nil {
					return err
				}
			}
			found, notes, err := o.settings(command.Context())
			if err != nil {
				return err
			}
			t, shown := settingsTable(found, keys, all)
			if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), map[string]any{"items": shown, "notes": notes}, t); err != nil {
				return err
			}
			for _, note := range notes {
				fmt.Fprintln(command.ErrOrStderr(), printable(note))
			}
			return nil
		},
	}
	command.Flags().BoolVar(&all, "all", false, "also what can't be changed while the controller runs")
	return command
}

// settings are all variables, and what people should know beside them.
func (o *options) settings(ctx context.Context) (found []setting, notes []string, err error) {
	live, err := o.settingsMap()
	if err != nil {
		return nil, nil, err
	}
	published, err := live.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	pod, err := installation{live.cluster, live.namespace}.leader(ctx)
	switch {
	case err != nil:
		notes = append(notes, "The environment is not known: "+err.Error())
	case pod == nil:
		notes = append(notes, "The environment is not known: no pod of the controller is in namespace "+live.namespace)
	}
	for _, v := range config.Variables() {
		found = append(found, settingOf(v, published.Data, pod))
	}
	for key, value := range published.Data {
		if refusals := config.Refusals(map[string]string{key: value}); len(refusals) > 0 {
			notes = append(notes, fmt.Sprintf("The controller refuses a value of the ConfigMap %s, and keeps what it had before: %v", live, refusals[0]))
		}
	}
	return found, notes, nil
}

// settingOf is what is known of a variable. A nil pod is an environment that is not known.
func settingOf(v config.Variable, published map[string]string, pod *corev1.Pod) setting {
	s := setting{Key: v.Name, Live: v.Live, Default: v.Default, Allowed: v.Allowed, Meaning: v.Meaning}
	if value := strings.TrimSpace(published[v.Name]); value != "" && v.Live {
		s.Value, s.From = value, fromConfigMap
		if refusals := config.Refusals(map[string]string{v.Name: value}); len(refusals) > 0 {
			s.Value, s.From, s.Problem = "", fromUnknown, refusals[0].Error()
		}
		return s
	}
	s.Value, s.From = environmentOf(v, pod)
	if v.Secret {
		s.Value = ""
	}
	return s
}

// environmentOf is the value that a variable has in a pod, and where it comes from. It is
// empty where the pod takes it from elsewhere.
func environmentOf(v config.Variable, pod *corev1.Pod) (value, from string) {
	if pod == nil {
		return "", fromUnknown
	}
	container := controllerOf(pod)
	for _, variable := range container.Env {
		if variable.Name != v.Name {
			continue
		}
		if variable.ValueFrom != nil {
			return "", fromEnvironment + ", of " + referenceOf(variable.ValueFrom)
		}
		if value := strings.TrimSpace(variable.Value); value != "" {
			return value, fromEnvironment
		}
		return v.Default, fromDefault
	}
	if len(container.EnvFrom) > 0 {
		return "", fromUnknown + ": the pod has envFrom"
	}
	return v.Default, fromDefault
}

func referenceOf(source *corev1.EnvVarSource) string {
	switch {
	case source.SecretKeyRef != nil:
		return "Secret " + source.SecretKeyRef.Name
	case source.ConfigMapKeyRef != nil:
		return "ConfigMap " + source.ConfigMapKeyRef.Name
	case source.FieldRef != nil:
		return source.FieldRef.FieldPath
	}
	return "its resources"
}

func settingsTable(found []setting, keys []string, all bool) (table, []setting) {
	wanted := map[string]bool{}
	for _, key := range keys {
		wanted[key] = true
	}
	t := table{head: []string{"KEY", "VALUE", "FROM", "LIVE", "DEFAULT", "ACCEPTED", "MEANING"}, wide: 4}
	shown := []setting{}
	for _, s := range found {
		if len(keys) > 0 && !wanted[s.Key] || len(keys) == 0 && !all && !s.Live {
			continue
		}
		live := "yes"
		if !s.Live {
			live = "no"
		}
		shown = append(shown, s)
		t.rows = append(t.rows, []string{s.Key, s.Value, s.From, live, s.Default, s.Allowed, s.Meaning})
		t.names = append(t.names, s.Key)
	}
	return t, shown
}
