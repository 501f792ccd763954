package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func webhookDeliveriesCommand(o *options) *cobra.Command {
	var failed bool
	var limit int
	command := &cobra.Command{
		Use: "deliveries [RECEIVER]", Short: "List what webhooks brought, the newest first, and what came of it",
		Long: `List what webhooks brought within 7 days, the newest first, and what came of it. It needs the
verb list on receivers/deliveries (ClusterRole penstock-reader); show, and redeliver, need more
(ClusterRole penstock-redeliverer).`,
		Example: "  kubectl penstock deliveries -n shop\n  kubectl penstock deliveries github --failed -o wide\n  kubectl penstock deliveries show 4711",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if len(args) > 0 {
				query.Set("receiver", strings.TrimPrefix(args[0], "receiver/"))
			}
			if failed {
				query.Set("failed", "true")
			}
			return o.listDeliveries(command, query)
		},
	}
	command.Flags().BoolVar(&failed, "failed", false, "only deliveries that failed, were refused or could not be read")
	command.Flags().IntVar(&limit, "limit", 50, "most deliveries; up to 500")
	command.AddCommand(showDeliveryCommand(o))
	return command
}

func (o *options) listDeliveries(command *cobra.Command, query url.Values) error {
	connected, err := o.connect(command.Context())
	if err != nil {
		return err
	}
	defer connected.close()
	var list rest.DeliveryList
	if err := connected.get(command.Context(), path("namespaces", connected.namespace, "deliveries"), query, &list); err != nil {
		return err
	}
	t := webhookDeliveriesTable(list.Items, "No such deliveries in namespace "+connected.namespace+" within 7 days.", time.Now())
	if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), list, t); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintln(command.ErrOrStderr(), "There are older deliveries: see --limit.")
	}
	return nil
}

func webhookDeliveriesTable(items []rest.Delivery, empty string, now time.Time) table {
	t := table{
		head: []string{"ID", "RECEIVER", "EVENT", "STATE", "AGE", "MESSAGE", "REPOSITORY", "ATTEMPTS", "REPEATS", "DELIVERY"}, wide: 6,
		empty: empty,
	}
	for _, item := range items {
		id := strconv.FormatInt(item.ID, 10)
		t.rows = append(t.rows, []string{
			id, item.Receiver, item.Event, item.State, age(&item.ReceivedAt, now), item.Message, item.Repository,
			strconv.FormatInt(int64(item.Attempts), 10), strconv.FormatInt(int64(item.Repeats), 10), item.DeliveryID,
		})
		t.names = append(t.names, "delivery/"+id)
	}
	return t
}

// deliveryID reads an argument.
func deliveryID(argument string) (string, error) {
	id, err := strconv.ParseInt(strings.TrimPrefix(argument, "delivery/"), 10, 64)
	if err != nil || id < 1 {
		return "", usage("%q is no number of a delivery: kubectl penstock deliveries lists them", argument)
	}
	return strconv.FormatInt(id, 10), nil
}

func showDeliveryCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show a delivery as it came, with its body, and what came of it",
		Example: "  kubectl penstock deliveries show 4711 -n shop\n  kubectl penstock deliveries show delivery/4711 -o json",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var detail rest.DeliveryDetail
			if err := connected.get(command.Context(), path("namespaces", connected.namespace, "deliveries", id), nil, &detail); err != nil {
				return err
			}
			if o.output != "table" && o.output != "wide" {
				return o.print(command.OutOrStdout(), command.ErrOrStderr(), detail, table{names: []string{"delivery/" + id}})
			}
			fmt.Fprint(command.OutOrStdout(), deliveryText(detail, time.Now()))
			return nil
		},
	}
}

// deliveryText is a delivery for people. What came from elsewhere is made printable.
func deliveryText(detail rest.DeliveryDetail, now time.Time) string {
	lines := []string{
		"Delivery:   " + strconv.FormatInt(detail.ID, 10), "Receiver:   " + detail.Receiver + " (" + detail.Type + ")", "Event:      " + detail.Event,
		"Sender's:   " + detail.DeliveryID, "Received:   " + age(&detail.ReceivedAt, now) + " ago, and " + strconv.FormatInt(int64(detail.Repeats), 10) + " times again",
		"State:      " + detail.State + " after " + strconv.FormatInt(int64(detail.Attempts), 10) + " attempts", "Message:    " + detail.Message,
	}
	if detail.RedeliveryOf != 0 {
		lines = append(lines, "Again:      delivery "+strconv.FormatInt(detail.RedeliveryOf, 10))
	}
	var headers []string
	for name, value := range detail.Headers {
		headers = append(headers, name+": "+value)
	}
	slices.Sort(headers)
	lines = append(append(append(lines, ""), headers...), "", detail.Body)
	return printableLines(strings.Join(lines, "\n")) + "\n"
}

func redeliverCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "redeliver ID", Short: "Work a delivery of a webhook off again",
		Long: `Work a delivery of a webhook off again, as its Receiver is now: after a filter or a mapping was
corrected, or a pipeline was added. What was made for it before is not made again.`,
		Example: "  kubectl penstock redeliver 4711 -n shop\n  kubectl penstock redeliver delivery/4711",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			var made rest.Redelivery
			if err := connected.post(command.Context(), path("namespaces", connected.namespace, "deliveries", id, "redeliver"), nil, &made); err != nil {
				return err
			}
			name := "delivery/" + strconv.FormatInt(made.ID, 10)
			if o.output == "table" || o.output == "wide" {
				fmt.Fprintln(command.OutOrStdout(), name, "works it off again: kubectl penstock deliveries -n "+connected.namespace+" tells what came of it")
				return nil
			}
			return o.print(command.OutOrStdout(), command.ErrOrStderr(), made, table{names: []string{name}})
		},
	}
}
