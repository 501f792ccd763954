package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

// wavesInterval is how often waves --watch asks the server.
const wavesInterval = 2 * time.Second

// wavesOptions are the flags of waves.
type wavesOptions struct {
	everywhere, history, watch bool
	state                      string
	wave                       int64
	limit                      int
}

func wavesCommand(o *options) *cobra.Command {
	var w wavesOptions
	command := &cobra.Command{
		Use: "waves [BASEIMAGE]", Short: "List waves of rebuilds, or show each CiPipeline of one, and why",
		Long: `List the newest wave of each BaseImage. With the name of a BaseImage, show the CiPipelines of its
newest wave, or of that of --wave: the build of each, where it stands, and why.

kubectl penstock wave resume and kubectl penstock wave stop steer a wave.`,
		Example: "  kubectl penstock waves -A\n  kubectl penstock waves java-17 -n platform --state Failed\n  kubectl penstock waves java-17 -n platform --watch",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 1 && (w.everywhere || w.history) {
				return usage("--all-namespaces and --history are for the list of waves: leave %s out", args[0])
			}
			if len(args) == 0 && command.Flags().Changed("wave") {
				return usage("--wave needs the name of a BaseImage: %s", command.UseLine())
			}
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			if len(args) == 1 {
				return w.follow(command, func(out, errOut *bytes.Buffer) (bool, error) {
					return w.one(command.Context(), o, connected, args[0], out, errOut)
				})
			}
			return w.follow(command, func(out, errOut *bytes.Buffer) (bool, error) {
				return false, w.list(command.Context(), o, connected, out, errOut)
			})
		},
	}
	flags := command.Flags()
	flags.BoolVarP(&w.everywhere, "all-namespaces", "A", false, "BaseImages of all namespaces that you may read")
	flags.BoolVar(&w.history, "history", false, "list older waves as well")
	flags.BoolVarP(&w.watch, "watch", "w", false, "print again when something has changed; that of one wave ends when the wave has")
	flags.StringVar(&w.state, "state", "", "only waves in this state, or CiPipelines of the one wave")
	flags.Int64Var(&w.wave, "wave", 0, "number of the wave; by default the newest")
	flags.IntVar(&w.limit, "limit", 50, "most waves of the list; up to 500")
	return completing(command, o, "BaseImage", nil)
}

// follow prints once, or with --watch whenever what is printed has changed, until it is over.
func (w wavesOptions) follow(command *cobra.Command, look func(out, errOut *bytes.Buffer) (over bool, err error)) error {
	for last := ""; ; {
		var out, errOut bytes.Buffer
		over, err := look(&out, &errOut)
		if err != nil {
			return err
		}
		if text := out.String() + errOut.String(); text != last {
			last = text
			_, _ = command.OutOrStdout().Write(out.Bytes())
			_, _ = command.ErrOrStderr().Write(errOut.Bytes())
		}
		if over || !w.watch {
			return nil
		}
		select {
		case <-command.Context().Done():
			return nil // that is how one stops watching
		case <-time.After(wavesInterval):
		}
	}
}

// list prints waves.
func (w wavesOptions) list(ctx context.Context, o *options, connected *connection, out, errOut *bytes.Buffer) error {
	query := url.Values{"limit": {strconv.Itoa(w.limit)}}
	if !w.everywhere {
		query.Set("namespace", connected.namespace)
	}
	if w.state != "" {
		query.Set("state", w.state)
	}
	if w.history {
		query.Set("history", "true")
	}
	var list rest.WaveList
	if err := connected.get(ctx, path("waves"), query, &list); err != nil {
		return err
	}
	if err := o.print(out, errOut, list, wavesTable(list, w.empty(connected.namespace))); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintln(errOut, "There are more waves: see --limit, -n and --state.")
	}
	return nil
}

func (w wavesOptions) empty(namespace string) string {
	if w.everywhere {
		return "No BaseImage that you may read has had such a wave."
	}
	return "No BaseImage in namespace " + namespace + " has had such a wave."
}

func wavesTable(list rest.WaveList, empty string) table {
	t := table{
		head: []string{"NAMESPACE", "NAME", "WAVE", "STATE", "PROGRESS", "FAILED", "SKIPPED", "DIGEST", "STARTED", "ENDED", "PENDING", "RUNNING", "IMAGE", "MESSAGE"}, wide: 9,
		empty: empty,
	}
	for _, wave := range list.Items {
		ended := ""
		if wave.EndedAt != nil {
			ended = wave.EndedAt.Format(time.RFC3339)
		}
		t.rows = append(t.rows, []string{
			wave.Namespace, wave.BaseImage, strconv.FormatInt(wave.Number, 10), wave.State, progressOf(wave),
			strconv.FormatInt(wave.Failed, 10), strconv.FormatInt(wave.Skipped, 10), wave.Digest, wave.StartedAt.Format(time.RFC3339),
			ended, strconv.FormatInt(wave.Pending, 10), strconv.FormatInt(wave.Running, 10), wave.Image, wave.Message,
		})
		t.names = append(t.names, "baseimage/"+wave.BaseImage)
	}
	return t
}

// progressOf is how many have ended of all, as the column Wave of kubectl get baseimages.
func progressOf(wave rest.Wave) string {
	return fmt.Sprintf("%d/%d", wave.Succeeded+wave.Failed+wave.Skipped, wave.Total)
}

// one prints the items of a wave, and tells whether it has ended.
func (w wavesOptions) one(ctx context.Context, o *options, connected *connection, name string, out, errOut *bytes.Buffer) (bool, error) {
	detail, err := w.items(ctx, connected, name)
	if err != nil {
		return false, err
	}
	if err := o.print(out, errOut, detail, itemsTable(detail)); err != nil {
		return false, err
	}
	wave := detail.Wave
	fmt.Fprintf(errOut, "Wave %d of BaseImage %s is %s: %s ended, %d failed, %d skipped.", wave.Number, wave.BaseImage, wave.State, progressOf(wave), wave.Failed, wave.Skipped)
	if wave.Message != "" {
		fmt.Fprintf(errOut, " Why: %s.", printable(wave.Message))
	}
	fmt.Fprintln(errOut)
	if detail.Hidden > 0 {
		fmt.Fprintf(errOut, "%d CiPipelines are in namespaces in which you may not list cibuilds.\n", detail.Hidden)
	}
	return wave.EndedAt != nil, nil
}

// items reads every page of a wave.
func (w wavesOptions) items(ctx context.Context, connected *connection, name string) (rest.WaveDetail, error) {
	query := url.Values{"limit": {"500"}}
	if w.state != "" {
		query.Set("state", w.state)
	}
	from := path("namespaces", connected.namespace, "baseimages", name, "waves", strconv.FormatInt(w.wave, 10))
	for items := []rest.WaveItem{}; ; {
		var page rest.WaveDetail
		if err := connected.get(ctx, from, query, &page); err != nil {
			return page, err
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			page.Items = items
			return page, nil
		}
		query.Set("cursor", page.Next)
	}
}

func itemsTable(detail rest.WaveDetail) table {
	t := table{
		head: []string{"NAMESPACE", "PIPELINE", "BUILD", "STATE", "WHY", "ENDED"}, wide: 5,
		empty: fmt.Sprintf("Wave %d of BaseImage %s has no such CiPipelines that you may see.", detail.Wave.Number, detail.Wave.BaseImage),
	}
	for _, item := range detail.Items {
		ended := ""
		if item.EndedAt != nil {
			ended = item.EndedAt.Format(time.RFC3339)
		}
		t.rows = append(t.rows, []string{item.Namespace, item.Pipeline, item.Build, item.State, item.Message, ended})
		t.names = append(t.names, "cibuild/"+item.Build)
	}
	return t
}
