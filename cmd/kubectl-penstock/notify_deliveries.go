package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func deliveriesCommand(o *options) *cobra.Command {
	var channel string
	var failed bool
	var limit int
	command := &cobra.Command{
		Use: "deliveries", Short: "List notifications, the newest first, and what became of them",
		Example: "  kubectl penstock notify deliveries -n shop --failed\n  kubectl penstock notify deliveries --channel deploys -o wide",
		Args:    arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if channel != "" {
				query.Set("channel", channel)
			}
			if failed {
				query.Set("failed", "true")
			}
			var list rest.NotificationList
			if err := connected.get(command.Context(), notificationsPath(connected.namespace), query, &list); err != nil {
				return err
			}
			t := notificationsTable(list.Items, "No such notifications in namespace "+connected.namespace+".", time.Now())
			if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), list, t); err != nil {
				return err
			}
			if list.Next != "" {
				fmt.Fprintln(command.ErrOrStderr(), "There are older notifications: see --limit.")
			}
			return nil
		},
	}
	command.Flags().StringVar(&channel, "channel", "", "only notifications for this NotificationChannel")
	command.Flags().BoolVar(&failed, "failed", false, "only notifications that were given up, or that wait after an attempt that failed")
	command.Flags().IntVar(&limit, "limit", 50, "most notifications; up to 500")
	return command
}

func resendCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "resend ID", Short: "Send a notification again",
		Long: `Send a notification again, at once, whatever became of it. It is the same delivery: a receiver
that drops what it has had drops it.`,
		Example: "  kubectl penstock notify resend 4711 -n shop\n  kubectl penstock notify resend notification/4711",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(strings.TrimPrefix(args[0], "notification/"), 10, 64)
			if err != nil || id < 1 {
				return usage("%q is no number of a notification: kubectl penstock notify deliveries lists them", args[0])
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var queued rest.NotificationQueued
			if err := connected.post(command.Context(), notificationsPath(connected.namespace, strconv.FormatInt(id, 10), "resend"), nil, &queued); err != nil {
				return err
			}
			return o.printQueued(command, queued, "is sent again")
		},
	}
}
