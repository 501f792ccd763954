package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// maxItemText bounds what is kept of one text of an event, in bytes.
const maxItemText = 1000

// encodeItems returns text, which is sent as it is through a pooler too, and not as bytes.
func encodeItems(items []route.Item) (string, error) {
	kept := slices.Clone(items)
	for i := range kept {
		kept[i].Message = clean(clip.Text(kept[i].Message, maxItemText))
	}
	encoded, err := json.Marshal(kept)
	if err != nil {
		return "", fmt.Errorf("encode events: %w", err)
	}
	return string(encoded), nil
}

func notificationOf(row dbsqlc.Notification) (route.Notification, error) {
	n := route.Notification{
		ID: row.ID, Key: route.Key{Namespace: row.Namespace, Policy: row.Policy, Channel: row.Channel, Group: row.GroupKey},
		Seq: row.Seq, Type: v1alpha1.NotificationEvent(row.Type), BuildUID: row.BuildUid, Events: row.Events, IsComplete: row.IsComplete,
		Wanted: row.Wanted, Sent: row.Sent, State: route.State(row.State), Attempts: row.Attempts, DueAt: row.DueAt.Time,
		CreatedAt: row.CreatedAt.Time, ChangedAt: row.ChangedAt.Time, SentAt: row.SentAt.Time, ClosesAt: row.ClosesAt.Time,
		TriedSince: row.TriedSince.Time, Reference: row.Reference, Error: row.Error,
	}
	if err := json.Unmarshal(row.Items, &n.Items); err != nil {
		return n, fmt.Errorf("decode the events of notification %d: %w", row.ID, err)
	}
	return n, nil
}

func notificationsOf(rows []dbsqlc.Notification) ([]route.Notification, error) {
	notifications := make([]route.Notification, len(rows))
	var err error
	for i, row := range rows {
		if notifications[i], err = notificationOf(row); err != nil {
			return nil, err
		}
	}
	return notifications, nil
}

// ClaimNotifications takes up to most notifications that are due, one of each channel that is
// not busy. They are the worker's until the lease ends, by the database's clock.
func (s *Store) ClaimNotifications(ctx context.Context, worker string, lease time.Duration, busy []types.NamespacedName, most int) ([]route.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	params := dbsqlc.ClaimNotificationsParams{
		Worker: worker, Lease: interval(lease), Busy: []string{}, Namespaces: s.namespaces, Most: int32(most), //nolint:gosec // a number of workers
	}
	for _, channel := range busy {
		params.Busy = append(params.Busy, channel.String())
	}
	rows, err := s.queries.ClaimNotifications(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("claim notifications: %w", err)
	}
	return notificationsOf(rows)
}

// ClaimNextNotification takes what is due next of one channel; false where nothing is.
func (s *Store) ClaimNextNotification(ctx context.Context, worker string, lease time.Duration, channel types.NamespacedName) (route.Notification, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimNextNotification(ctx, dbsqlc.ClaimNextNotificationParams{
		Worker: worker, Lease: interval(lease), Namespace: channel.Namespace, Channel: channel.Name,
	})
	if err != nil || len(rows) == 0 {
		return route.Notification{}, false, wrap(err, "claim the next notification")
	}
	notification, err := notificationOf(rows[0])
	return notification, err == nil, err
}

// wrap says what failed, if anything has.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Delivery is what became of one attempt to send a notification.
type Delivery struct {
	Notification route.Notification
	// State is Sent, GivenUp, or Waiting: then it is tried again after Delay.
	State     route.State
	Delay     time.Duration
	Reference string
	Error     string
}

// RecordDelivery notes what became of an attempt, where it is still the worker's.
func (s *Store) RecordDelivery(ctx context.Context, worker string, d Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	_, err := s.queries.RecordNotification(ctx, dbsqlc.RecordNotificationParams{
		Outcome: string(d.State), Version: d.Notification.Wanted, Reference: clean(d.Reference), Error: clean(d.Error),
		Delay: interval(d.Delay), ID: d.Notification.ID, Worker: worker, Attempts: d.Notification.Attempts,
	})
	return wrap(err, fmt.Sprintf("record delivery of notification %d", d.Notification.ID))
}

// ChannelCount is how much of a channel waits, and was given up.
type ChannelCount struct {
	Waiting, Dropped int64
	// Oldest is for how long the first waits that should have been sent.
	Oldest time.Duration
}

// ChannelCounts counts what waits and what was given up, of each channel that has any.
func (s *Store) ChannelCounts(ctx context.Context) (map[types.NamespacedName]ChannelCount, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.ChannelCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count notifications: %w", err)
	}
	counts := make(map[types.NamespacedName]ChannelCount, len(rows))
	for _, row := range rows {
		counts[types.NamespacedName{Namespace: row.Namespace, Name: row.Channel}] = ChannelCount{
			Waiting: row.Waiting, Dropped: row.Dropped, Oldest: time.Duration(row.OldestSeconds * float64(time.Second)),
		}
	}
	return counts, nil
}

// ErrNoNotification means that there is no notification of this id.
var ErrNoNotification = errors.New("no such notification")

// ErrNotificationChanged means that a notification has changed since somebody looked at it.
var ErrNotificationChanged = errors.New("the notification has changed meanwhile, or is gone: look at it again")

// ResendNotification has a notification sent again, as the same delivery. Where unchanged is not
// zero, and it has changed since then, it returns ErrNotificationChanged.
func (s *Store) ResendNotification(ctx context.Context, namespace string, id int64, unchanged time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	found, err := s.queries.ResendNotification(ctx, dbsqlc.ResendNotificationParams{ID: id, Namespace: namespace, Unchanged: timestamp(unchanged)})
	if err != nil {
		return fmt.Errorf("resend notification %d: %w", id, err)
	}
	switch {
	case found > 0:
		return nil
	case !unchanged.IsZero():
		return ErrNotificationChanged
	}
	return ErrNoNotification
}

// TestChannel has a channel sent a message that tests it. token names the test.
func (s *Store) TestChannel(ctx context.Context, namespace, channel, token string) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	items, err := encodeItems([]route.Item{{Type: route.TypeTest, Namespace: namespace, At: time.Now()}})
	if err != nil {
		return 0, err
	}
	id, err = s.queries.AddTest(ctx, dbsqlc.AddTestParams{Namespace: namespace, Channel: channel, GroupKey: "test/" + token, Items: items})
	if err != nil {
		return 0, fmt.Errorf("test channel %s: %w", channel, err)
	}
	return id, nil
}

// ReleaseNotifications gives back what a process of this name was sending when it ended.
func (s *Store) ReleaseNotifications(ctx context.Context, worker string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.ReleaseNotifications(ctx, worker); err != nil {
		return fmt.Errorf("release notifications: %w", err)
	}
	return nil
}
