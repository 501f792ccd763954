package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

func previewCommand(o *options) *cobra.Command {
	var build string
	command := &cobra.Command{
		Use: "preview POLICY --build BUILD", Short: "Show what a NotificationPolicy would tell of a build, and send nothing",
		Long: `Show what a NotificationPolicy would tell of a build when all is done: one line for each message
that it would send, or why it would send none. Nothing is sent.`,
		Example: "  kubectl penstock notify preview deploys --build shop-42 -n shop\n  kubectl penstock notify preview deploys --build shop-42 -o yaml",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			if build == "" {
				return usage("name the build to try the policy on by --build: kubectl penstock builds lists them")
			}
			request, err := o.previewRequest(command.Context(), args[0], build)
			if err != nil {
				return err
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var preview rest.NotificationPreview
			if err := connected.post(command.Context(), notificationsPath(connected.namespace, "preview"), request, &preview); err != nil {
				return err
			}
			for _, note := range preview.Notes {
				fmt.Fprintln(command.ErrOrStderr(), "note:", printable(note))
			}
			return o.print(command.OutOrStdout(), command.ErrOrStderr(), preview, previewTable(preview, args[0], build))
		},
	}
	command.Flags().StringVar(&build, "build", "", "name of the CiBuild to try the policy on; required")
	return completing(command, o, "NotificationPolicy", map[string]string{"build": "CiBuild"})
}

// previewRequest reads the policy, and the labels of the pipelines where the policy selects by
// them and the user may read them.
func (o *options) previewRequest(ctx context.Context, name, build string) (request rest.NotificationPreviewRequest, err error) {
	var policy v1alpha1.NotificationPolicy
	reader, err := o.readObject(ctx, "NotificationPolicy", name, &policy, &v1alpha1.NotificationPolicyList{})
	if err != nil {
		return request, explainedOf(err, "NotificationPolicies")
	}
	request.Build = build
	if request.Policy, err = json.Marshal(policy.Spec); err != nil {
		return request, fmt.Errorf("encode the policy: %w", err)
	}
	if keys := keysOf(policy.Spec.Selector); len(keys) > 0 {
		request.Labels = labelsOfPipelines(ctx, reader, policy.Namespace, keys)
	}
	return request, nil
}

// keysOf are the labels by which a policy selects.
func keysOf(selector v1alpha1.NotificationSelector) []string {
	keys := slices.Collect(maps.Keys(selector.MatchLabels))
	for _, requirement := range selector.MatchExpressions {
		keys = append(keys, requirement.Key)
	}
	return keys
}

// labelsOfPipelines returns these labels of each pipeline, and nil where the user may not read
// the pipelines: the server then leaves labels out of account, and says so.
func labelsOfPipelines(ctx context.Context, reader client.Client, namespace string, keys []string) map[string]map[string]string {
	var cd v1alpha1.CdPipelineList
	var ci v1alpha1.CiPipelineList
	if reader.List(ctx, &cd, client.InNamespace(namespace)) != nil || reader.List(ctx, &ci, client.InNamespace(namespace)) != nil {
		return nil
	}
	labels := map[string]map[string]string{}
	for _, pipeline := range cd.Items {
		labels["cdpipelines/"+pipeline.Name] = only(pipeline.Labels, keys)
	}
	for _, pipeline := range ci.Items {
		labels["cipipelines/"+pipeline.Name] = only(pipeline.Labels, keys)
	}
	return labels
}

func only(labels map[string]string, keys []string) map[string]string {
	kept := map[string]string{}
	for _, key := range keys {
		if value, ok := labels[key]; ok {
			kept[key] = value
		}
	}
	return kept
}

func previewTable(preview rest.NotificationPreview, policy, build string) table {
	t := table{
		head: []string{"GROUP", "LEVEL", "EVENTS", "TITLE", "TYPE", "CHANNELS", "DETAILS"}, wide: 4,
		empty: "NotificationPolicy " + policy + " tells nothing of build " + build + ".",
	}
	for _, message := range preview.Messages {
		details := make([]string, len(message.Details))
		for i, detail := range message.Details {
			details[i] = detail.Name + ": " + detail.Text
		}
		t.rows = append(t.rows, []string{
			message.Group, message.Level, strconv.FormatInt(message.Events, 10), message.Title, message.Type, strings.Join(preview.Channels, ","), strings.Join(details, "; "),
		})
		t.names = append(t.names, message.Group)
	}
	return t
}
