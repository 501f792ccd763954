package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// ErrMayNotWrite means that the database takes no write from this process.
var ErrMayNotWrite = errors.New("the database takes no change from penstock server: grant its role INSERT and UPDATE on the tables notification and webhook_delivery, and connect it to a server that is no standby")

// AskResend is ResendNotification in a session that is read-only otherwise. It returns
// ErrNoNotification, ErrNotificationChanged or ErrMayNotWrite.
func (s *Store) AskResend(ctx context.Context, namespace string, id int64, unchanged time.Time) error {
	err := s.writable(ctx, func(writing *Store) error { return writing.ResendNotification(ctx, namespace, id, unchanged) })
	if errors.Is(err, ErrNoNotification) {
		return fmt.Errorf("notification %d in namespace %s: %w: it was never made, or is older than HISTORY_RETENTION", id, namespace, err)
	}
	return err
}

// AskTest is TestChannel in a session that is read-only otherwise. It may return ErrMayNotWrite.
func (s *Store) AskTest(ctx context.Context, namespace, channel, token string) (id int64, err error) {
	err = s.writable(ctx, func(writing *Store) (err error) {
		id, err = writing.TestChannel(ctx, namespace, clean(channel), token)
		return err
	})
	return id, err
}

// writable runs fn in one transaction that may write, whatever Config.ReadOnly says. It is for
// what server/api and server/hooks are asked to write, and nothing else.
func (s *Store) writable(ctx context.Context, fn func(*Store) error) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadWrite}, func(tx pgx.Tx) error {
		return fn(&Store{pool: s.pool, queries: s.queries.WithTx(tx), config: s.config, namespaces: s.namespaces})
	})
	if known := ProblemOf(err); known != nil && (known.Class == ProblemRights || known.Class == ProblemReadOnly) {
		return fmt.Errorf("%w: %w", ErrMayNotWrite, err)
	}
	return err
}

// NotificationOf decodes a row.
func NotificationOf(row dbsqlc.Notification) (route.Notification, error) { return notificationOf(row) }

// ToldOfBuild is what a policy may tell of one build.
type ToldOfBuild struct {
	// Items are the build's events in their order.
	Items []route.Item
	// More means that the build has more events than were read.
	More bool
	// Build is how far the build is now.
	Build route.Build
}

// ToldOfBuild reads up to most events of a build, and how far its runs are. Of builds that had
// the same name one after the other, the figures are of the newest.
func (s *Store) ToldOfBuild(ctx context.Context, namespace, build, buildUID string, most int) (ToldOfBuild, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	told := ToldOfBuild{}
	found, err := s.queries.PreviewEvents(ctx, dbsqlc.PreviewEventsParams{Namespace: namespace, BuildName: build, Most: int32(most)}) //nolint:gosec // a bound of the server
	if err != nil {
		return told, fmt.Errorf("read events of build %s: %w", build, err)
	}
	rows := make([]dbsqlc.UntoldEventsRow, len(found))
	for i, row := range found {
		rows[i] = dbsqlc.UntoldEventsRow(row)
	}
	told.More = len(rows) == most
	if told.Items, err = s.items(ctx, s.queries, rows, nothingLater); err != nil {
		return told, fmt.Errorf("read what the events of build %s are about: %w", build, err)
	}
	summaries, err := s.Summaries(ctx, []string{buildUID})
	if err != nil {
		return told, err
	}
	told.Build = BuildToTell(told.Items, summaries[buildUID])
	return told, nil
}

// BuildToTell is what a message says of a build. summary is nil where the build is not planned.
func BuildToTell(items []route.Item, summary *Summary) route.Build {
	build := route.Build{Phase: string(v1alpha1.BuildSucceeded)}
	for _, item := range items {
		if item.Type == v1alpha1.EventBuildFailed {
			build.Phase = item.Reason
		}
	}
	if summary == nil {
		return build
	}
	build.Triggers = summary.Triggers
	for _, failure := range summary.Failures {
		if failure.Status != StatusFailed && failure.Status != StatusError {
			continue
		}
		if !slices.Contains(build.FailedPipelines, failure.Pipeline) {
			build.FailedPipelines = append(build.FailedPipelines, failure.Pipeline)
		}
		build.Failures = append(build.Failures, notify.Detail{
			Name: failure.Pipeline, Text: fmt.Sprintf("stage %s ended as %s: %s: %s", failure.Stage, failure.Status, failure.Reason, failure.Message),
		})
	}
	for _, held := range summary.Held {
		build.Waits = append(build.Waits, waitToTell(held.Count, held.Examples, held.Reason, ""))
	}
	for _, delayed := range summary.Delayed {
		build.Waits = append(build.Waits, waitToTell(delayed.Count, delayed.Examples, delayed.Reason, delayed.Message))
	}
	return build
}

func waitToTell(count int64, examples []string, reason v1alpha1.Reason, message string) notify.Detail {
	detail := notify.Detail{Name: strings.Join(examples, ", "), Text: "waits: " + string(reason)}
	if count > int64(len(examples)) {
		detail.Name += ", …"
	}
	if message != "" {
		detail.Text += ": " + message
	}
	return detail
}
