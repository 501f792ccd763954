package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// testTimeout is how long notify test waits, and testInterval how often it looks.
	testTimeout, testInterval = time.Minute, 500 * time.Millisecond
)

func testChannelCommand(o *options) *cobra.Command {
	var noWait bool
	var timeout time.Duration
	command := &cobra.Command{
		Use: "test CHANNEL", Short: "Send a test message to a NotificationChannel",
		Long: `Send a test message to a NotificationChannel, and wait until the receiver has accepted it. The
exit code is 0 when it has, and 1 when it has refused the message, with its own words, or when
the time is over.`,
		Example: "  kubectl penstock notify test deploys -n shop\n  kubectl penstock notify test deploys --no-wait",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			if timeout <= 0 {
				return usage("--timeout %s: must be longer than nothing; to wait for nothing, use --no-wait", timeout)
			}
			if err := o.checkChannel(command.Context(), args[0]); err != nil {
				return err
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var queued rest.NotificationQueued
			if err := connected.post(command.Context(), notificationsPath(connected.namespace, "test"), rest.ChannelTest{Channel: args[0]}, &queued); err != nil {
				return err
			}
			if noWait {
				return o.printQueued(command, queued, "is to be sent: kubectl penstock notify deliveries -n "+connected.namespace+" tells what became of it")
			}
			return o.awaitTest(command, connected, args[0], queued.ID, timeout)
		},
	}
	command.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the message was sent")
	command.Flags().DurationVar(&timeout, "timeout", testTimeout, "how long to wait")
	return completing(command, o, "NotificationChannel", nil)
}

// checkChannel finds typing errors, for who may read channels.
func (o *options) checkChannel(ctx context.Context, name string) error {
	var channel v1alpha1.NotificationChannel
	_, err := o.readObject(ctx, "NotificationChannel", name, &channel, &v1alpha1.NotificationChannelList{})
	switch {
	case apierrors.IsForbidden(err):
		return nil // it is not needed
	case err != nil:
		return explainedOf(err, "NotificationChannels")
	case channel.Spec.Suspend:
		return fmt.Errorf("nothing is sent to NotificationChannel %s while its spec.suspend is true: set it to false", name)
	case channel.Spec.Type == v1alpha1.ChannelCommitStatus:
		return fmt.Errorf("NotificationChannel %s sets statuses of commits, and a test has none: try it with a build", name)
	}
	return nil
}

// awaitTest waits until it is known what became of a test.
func (o *options) awaitTest(command *cobra.Command, connected *connection, channel string, id int64, timeout time.Duration) error {
	progress := progressOn(command.ErrOrStderr())
	defer progress("")
	ctx := command.Context()
	over := time.After(timeout)
	for {
		var sent rest.Notification
		if err := connected.get(ctx, notificationsPath(connected.namespace, strconv.FormatInt(id, 10)), nil, &sent); err != nil {
			return fmt.Errorf("notification %d is to be sent, but what became of it can't be read: %w", id, err)
		}
		switch sent.State {
		case "Sent":
			return o.print(command.OutOrStdout(), command.ErrOrStderr(), sent, notificationsTable([]rest.Notification{sent}, "", time.Now()))
		case "GivenUp":
			return fmt.Errorf("the test of NotificationChannel %s failed: %s", channel, sent.Error)
		}
		progress(waiting(sent))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over:
			return fmt.Errorf("the test of NotificationChannel %s was not sent within %s: %s", channel, timeout, waiting(sent))
		case <-time.After(testInterval):
		}
	}
}

// waiting is why a notification was not sent yet.
func waiting(sent rest.Notification) string {
	if sent.Error == "" {
		return "it waits for Penstock's controller"
	}
	return fmt.Sprintf("attempt %d has failed, and Penstock tries again: %s", sent.Attempts, sent.Error)
}

// printQueued names a notification that is to be sent.
func (o *options) printQueued(command *cobra.Command, queued rest.NotificationQueued, what string) error {
	name := "notification/" + strconv.FormatInt(queued.ID, 10)
	if o.output == "table" || o.output == "wide" {
		fmt.Fprintln(command.OutOrStdout(), name, what)
		return nil
	}
	return o.print(command.OutOrStdout(), command.ErrOrStderr(), queued, table{names: []string{name}})
}
