package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// TellTimeout bounds the transaction that turns a batch of events into notifications.
const TellTimeout = 20 * time.Second

// Told is a batch of events that can be told, in their order, and what they may be added to.
type Told struct {
	Items []route.Item
	// Now is the database's clock.
	Now time.Time
}

// Teller decides what becomes of a batch.
type Teller interface {
	// Groups are those that the events may be added to.
	Groups(told Told) []route.Key
	// Fold returns what is to be written. known is the newest notification of each of those
	// groups that has one; begun is how many groups of a channel have begun within the last
	// minute, for every channel of the groups.
	Fold(told Told, known map[route.Key]*route.Notification, begun map[types.NamespacedName]int) []route.Notification
}

// TellEvents turns up to most events that nobody was told of into notifications, in one
// transaction: whatever ends it, no event is left out and none is told twice. It returns whether
// there may be more.
func (s *Store) TellEvents(ctx context.Context, most int, teller Teller) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, TellTimeout)
	defer cancel()
	server, err := s.server(ctx)
	if err != nil {
		return false, err
	}
	err = s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		cursor, err := s.lockCursor(ctx, queries, server)
		if err != nil {
			return err
		}
		events, end, err := s.untold(ctx, queries, cursor, server, most)
		if err != nil || end == s.cursorOf(cursor) {
			return err
		}
		more = len(events) == most
		told := Told{Now: cursor.At.Time}
		if told.Items, err = s.items(ctx, queries, events, comesAfter(end, isMoved(cursor, server))); err != nil {
			return err
		}
		if err := tell(ctx, queries, told, teller); err != nil {
			return err
		}
		if err := queries.MoveCursor(ctx, end); err != nil {
			return err
		}
		return failpoint.Error(failpoint.NotifyBeforeCommit)
	})
	if err != nil {
		return false, fmt.Errorf("turn events into notifications: %w", err)
	}
	return more, nil
}

func tell(ctx context.Context, queries *dbsqlc.Queries, told Told, teller Teller) error {
	if len(told.Items) == 0 {
		return nil
	}
	keys := teller.Groups(told)
	if len(keys) == 0 {
		return nil
	}
	known, err := groups(ctx, queries, keys)
	if err != nil {
		return err
	}
	var begunOf dbsqlc.BegunNotificationsParams
	for _, key := range keys {
		begunOf.Namespaces, begunOf.Channels = append(begunOf.Namespaces, key.Namespace), append(begunOf.Channels, key.Channel)
	}
	rows, err := queries.BegunNotifications(ctx, begunOf)
	if err != nil {
		return err
	}
	begun := map[types.NamespacedName]int{}
	for _, row := range rows {
		begun[types.NamespacedName{Namespace: row.Namespace, Name: row.Channel}] = int(row.Begun)
	}
	return put(ctx, queries, teller.Fold(told, known, begun))
}

func groups(ctx context.Context, queries *dbsqlc.Queries, keys []route.Key) (map[route.Key]*route.Notification, error) {
	var params dbsqlc.NotificationsOfGroupsParams
	for _, key := range keys {
		params.Namespaces, params.Policies = append(params.Namespaces, key.Namespace), append(params.Policies, key.Policy)
		params.Channels, params.GroupKeys = append(params.Channels, key.Channel), append(params.GroupKeys, clean(key.Group))
	}
	rows, err := queries.NotificationsOfGroups(ctx, params)
	if err != nil {
		return nil, err
	}
	known := make(map[route.Key]*route.Notification, len(rows))
	for _, row := range rows {
		notification, err := notificationOf(row.Notification)
		if err != nil {
			return nil, err
		}
		notification.InFlight = row.InFlight
		known[notification.Key] = &notification
	}
	return known, nil
}

func put(ctx context.Context, queries *dbsqlc.Queries, notifications []route.Notification) error {
	if len(notifications) == 0 {
		return nil
	}
	var params dbsqlc.PutNotificationsParams
	for _, n := range notifications {
		items, err := encodeItems(n.Items)
		if err != nil {
			return err
		}
		params.Namespaces, params.Policies = append(params.Namespaces, n.Namespace), append(params.Policies, n.Policy)
		params.Channels, params.GroupKeys = append(params.Channels, n.Channel), append(params.GroupKeys, clean(n.Group))
		params.Seqs, params.Types = append(params.Seqs, n.Seq), append(params.Types, string(n.Type))
		params.BuildUids, params.Items = append(params.BuildUids, n.BuildUID), append(params.Items, items)
		params.Events, params.AreComplete = append(params.Events, n.Events), append(params.AreComplete, n.IsComplete)
		params.Wanted, params.States = append(params.Wanted, n.Wanted), append(params.States, string(n.State))
		params.DueAts, params.ClosesAts = append(params.DueAts, orNever(n.DueAt)), append(params.ClosesAts, orNever(n.ClosesAt))
	}
	return queries.PutNotifications(ctx, params)
}

// orNever is infinity for the zero time.
func orNever(at time.Time) pgtype.Timestamptz {
	if at.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: at, Valid: true}
}
