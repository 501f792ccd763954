package store_test

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func waveCalls() map[string]call {
	one := store.Wave{ImageUID: "x", Number: 1, State: v1alpha1.WaveRunning}
	request := func(name string) store.Request {
		return store.Request{Namespace: given.Namespace, Name: name, SpecHash: "x"}
	}
	return map[string]call{
		"DueWaves": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.DueWaves(ctx)
			return err
		}},
		"BeginWave": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.BeginWave(ctx, store.DueWave{ImageUID: "x"}, nil)
			return err
		}},
		"OpenWaves": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.OpenWaves(ctx)
			return err
		}},
		"MoveWaveItems": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.MoveWaveItems(ctx, one, nil)
			return err
		}},
		"MoveWave": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.MoveWave(ctx, one, v1alpha1.WaveStopped, "")
			return err
		}},
		"ResumeWave": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ResumeWave(ctx, request("resume-wave"), "x", "x")
			return err
		}},
		"CancelWave": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.CancelWave(ctx, request("cancel-wave"), "x", "x")
			return err
		}},
		"NewestWaves": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.NewestWaves(ctx, []string{"x"})
			return err
		}},
		"NamedBaseImages": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.NamedBaseImages(ctx, []types.NamespacedName{{Namespace: given.Namespace, Name: "x"}})
			return err
		}},
		"NewestRebuilds": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.NewestRebuilds(ctx, one, []string{"x"})
			return err
		}},
	}
}

// unless leaves out an error that tells of the rows and not of the server.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func webhookCalls() map[string]call {
	receiver := store.Receiver{NamespacedName: types.NamespacedName{Namespace: given.Namespace, Name: "r"}, UID: "r"}
	delivery := store.WebhookDelivery{ID: 1 << 40, Namespace: given.Namespace, Receiver: "r", ReceiverUID: "r", DeliveryID: "d", Type: v1alpha1.ReceiverGeneric}
	return map[string]call{
		"PutReceiver": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.PutReceiver(ctx, receiver, "path")
			return err
		}},
		"ForgetReceivers": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.ForgetReceivers(ctx, []types.UID{"r"})
		}},
		"Receivers": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Receivers(ctx)
			return err
		}},
		"ReceiversByPath": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ReceiversByPath(ctx)
			return err
		}},
		"AddDelivery": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.AddDelivery(ctx, delivery)
			return err
		}},
		"ClaimNextDelivery": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.ClaimNextDelivery(ctx, "w", time.Minute, store.WebhookDelivery{})
			return err
		}},
		"ClaimDeliveries": {store.ClaimTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.ClaimDeliveries(ctx, "nobody", time.Minute, 1)
			return err
		}},
		"NoteSecret": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.NoteSecret(ctx, "x", store.SecretProblem{})
		}},
		"FinishDelivery": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.FinishDelivery(ctx, "w", delivery, false, "Ignored", "")
		}},
		"RetryDelivery": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			return s.RetryDelivery(ctx, "w", delivery, time.Second, "")
		}},
		"ReleaseDeliveries": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.ReleaseDeliveries(ctx) }},
		"OpenDeliveries": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.OpenDeliveries(ctx)
			return err
		}},
		"AskRedelivery": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.AskRedelivery(ctx, given.Namespace, 1<<40, "token")
			return unless(err, store.ErrNoDelivery)
		}},
	}
}
