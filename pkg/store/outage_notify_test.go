package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

// tellAll tells each event by itself, in one channel.
type tellAll struct{}

func (tellAll) key(item route.Item) route.Key {
	return route.Key{Namespace: item.Namespace, Policy: "all", Channel: "slack", Group: string(item.Type) + "/" + item.Build}
}

func (t tellAll) Groups(told store.Told) (keys []route.Key) {
	for _, item := range told.Items {
		keys = append(keys, t.key(item))
	}
	return keys
}

func (t tellAll) Fold(told store.Told, _ map[route.Key]*route.Notification, _ map[types.NamespacedName]int) (all []route.Notification) {
	written := map[route.Key]bool{}
	for _, item := range told.Items {
		if key := t.key(item); !written[key] {
			written[key] = true
			all = append(all, route.Notification{Key: key, Seq: 1, Type: item.Type, Items: []route.Item{item}, Events: 1, Wanted: 1, State: route.Waiting, DueAt: told.Now})
		}
	}
	return all
}

func notifyCalls() map[string]call {
	return map[string]call{
		"TellEvents": {store.TellTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.TellEvents(ctx, 10, tellAll{})
			return err
		}},
		"SkipEvents": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.SkipEvents(ctx, store.Horizon{})
			return err
		}},
		"ReleaseNotifications": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.ReleaseNotifications(ctx, "w") }},
		"ClaimNotifications": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ClaimNotifications(ctx, "w", time.Minute, []types.NamespacedName{{Namespace: "x", Name: "x"}}, 1)
			return err
		}},
		"ClaimNextNotification": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.ClaimNextNotification(ctx, "w", time.Minute, types.NamespacedName{Namespace: "x", Name: "x"})
			return err
		}},
		"TestChannel": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.TestChannel(ctx, "x", "x", rand.Text())
			return err
		}},
		"AskTest": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.AskTest(ctx, "x", "x", rand.Text())
			return err
		}},
		"AskResend": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			if err := s.AskResend(ctx, "elsewhere", 1, time.Time{}); !errors.Is(err, store.ErrNoNotification) {
				return err
			}
			return nil
		}},
		"ToldOfBuild": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ToldOfBuild(ctx, "x", "x", "x", 10)
			return err
		}},
		"RecordDelivery": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.RecordDelivery(ctx, "w", store.Delivery{Notification: route.Notification{ID: 1}, State: route.Waiting, Delay: time.Second})
		}},
		"ChannelCounts": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ChannelCounts(ctx)
			return err
		}},
		"ResendNotification": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			if err := s.ResendNotification(ctx, "x", 1, time.Time{}); !errors.Is(err, store.ErrNoNotification) {
				return err
			}
			return nil
		}},
	}
}
