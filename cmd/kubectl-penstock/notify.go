package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
)

func notifyCommand(o *options) *cobra.Command {
	command := &cobra.Command{
		Use: "notify", Short: "Test channels, preview policies, list notifications and send them again",
		Long: `Test channels, preview policies, list notifications and send them again.

All four ask penstock server. test needs the verb create on notifications, resend the verb
update (ClusterRole penstock-notifier), and deliveries the verb list (penstock-reader). test and
preview also read the NotificationChannel or the NotificationPolicy, with your own rights.`,
		SuggestionsMinimumDistance: 2,
		Args:                       subcommand,
		RunE:                       func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(testChannelCommand(o), previewCommand(o), deliveriesCommand(o), resendCommand(o))
	return command
}

// notificationsPath is that of the notifications of a namespace, and of what is below.
func notificationsPath(namespace string, below ...string) string {
	return path(append([]string{"namespaces", namespace, "notifications"}, below...)...)
}

func notificationsTable(items []rest.Notification, empty string, now time.Time) table {
	t := table{
		head: []string{"ID", "CHANNEL", "POLICY", "STATE", "ATTEMPTS", "AGE", "TITLE", "ERROR", "TYPE", "EVENTS", "DUE", "SENT"}, wide: 8,
		empty: empty,
	}
	for _, item := range items {
		due := ""
		if item.DueAt != nil {
			due = item.DueAt.Format(time.RFC3339)
		}
		id := strconv.FormatInt(item.ID, 10)
		t.rows = append(t.rows, []string{
			id, item.Channel, item.Policy, item.State, strconv.FormatInt(int64(item.Attempts), 10), age(&item.CreatedAt, now), item.Title, item.Error,
			item.Type, strconv.FormatInt(item.Events, 10), due, age(item.SentAt, now),
		})
		t.names = append(t.names, "notification/"+id)
	}
	return t
}

// plurals are the kinds as kubectl takes them.
var plurals = map[string]string{"NotificationChannel": "notificationchannels", "NotificationPolicy": "notificationpolicies"}

// readObject reads an object of the user's namespace with their own rights. Where there is
// none, the error names the nearest of the list.
func (o *options) readObject(ctx context.Context, kind, name string, object client.Object, list client.ObjectList) (client.Client, error) {
	home, namespace, err := o.cluster()
	if err != nil {
		return nil, err
	}
	reader, err := clientOfCluster(home)
	if err != nil {
		return nil, err
	}
	err = reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
	if !apierrors.IsNotFound(err) {
		return reader, err
	}
	if reader.List(ctx, list, client.InNamespace(namespace)) == nil {
		var names []string
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			if named, ok := item.(client.Object); ok {
				names = append(names, named.GetName())
			}
			return nil
		})
		if near := nearest(name, names); near != "" {
			return reader, fmt.Errorf("there is no %s %q in namespace %s: did you mean %q?", kind, name, namespace, near)
		}
	}
	return reader, fmt.Errorf("there is no %s %q in namespace %s: kubectl get %s -n %s lists them", kind, name, namespace, plurals[kind], namespace)
}
