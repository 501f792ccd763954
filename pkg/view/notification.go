package view

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// NotificationFilter selects notifications. The zero value of a field selects all.
type NotificationFilter struct {
	Namespace string // required
	Channel   string
	// Failed selects what was given up, and what waits after an attempt that failed.
	Failed bool
	// Before is the id of the notification behind which the page begins.
	Before int64
	Limit  int
}

// Notifications returns a page of notifications, the newest first.
func (v *View) Notifications(ctx context.Context, filter NotificationFilter) ([]rest.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if filter.Before == 0 {
		filter.Before = math.MaxInt64
	}
	rows, err := v.queries.ViewNotifications(ctx, dbsqlc.ViewNotificationsParams{
		Namespace: filter.Namespace, BeforeID: filter.Before, Channel: filter.Channel, Failed: filter.Failed, Most: most(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list notifications: %w", err)
	}
	notifications := make([]rest.Notification, len(rows))
	for i, row := range rows {
		if notifications[i], err = notification(row); err != nil {
			return nil, err
		}
	}
	return notifications, nil
}

// Notification returns one notification, or ErrNotFound.
func (v *View) Notification(ctx context.Context, namespace string, id int64) (rest.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	row, err := only(v.queries.ViewNotification(ctx, dbsqlc.ViewNotificationParams{ID: id, Namespace: namespace}))
	if err != nil {
		return rest.Notification{}, fmt.Errorf("read notification %d in namespace %s: %w", id, namespace, err)
	}
	return notification(row)
}

func notification(row dbsqlc.Notification) (rest.Notification, error) {
	n, err := store.NotificationOf(row)
	if err != nil {
		return rest.Notification{}, err
	}
	return rest.Notification{
		ID: n.ID, Policy: n.Policy, Channel: n.Channel, Type: string(n.Type), State: string(n.State), Title: titleOf(n), Events: n.Events,
		Version: n.Wanted, Attempts: n.Attempts, Error: n.Error, CreatedAt: n.CreatedAt.UTC(), ChangedAt: when(row.ChangedAt), DueAt: unlessZero(n.DueAt), SentAt: unlessZero(n.SentAt),
	}, nil
}

// titleOf is what a row says by itself. A build is named as people do.
func titleOf(n route.Notification) string {
	if len(n.Items) == 0 {
		return string(n.Type)
	}
	if strings.HasPrefix(n.Group, "build/") {
		n.Group = "build/" + n.Items[0].Build
	}
	return clip.Text(n.Message(nil).Title, route.MaxTitle)
}

func unlessZero(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	utc := at.UTC()
	return &utc
}
