package store_test

import (
	"context"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func clusterCalls() map[string]call {
	request := func(name string) store.Request {
		return store.Request{Namespace: given.Namespace, Name: name, SpecHash: "x"}
	}
	shut := store.ClusterLane{Cluster: "x", Reason: v1alpha1.ReasonTimeout, Message: "no answer"}
	return map[string]call{
		"Lanes": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.Lanes(ctx)
			return err
		}},
		"LaneOf": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.LaneOf(ctx, "x")
			return err
		}},
		"OpenLane": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.OpenLane(ctx, "x", "uid", "home")
			return err
		}},
		"ShutLane": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error { return s.ShutLane(ctx, shut) }},
		"AcceptCluster": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.AcceptCluster(ctx, request("accept"), "x")
			return err
		}},
		"GiveUpCluster": {store.PlanTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.GiveUpCluster(ctx, request("give-up"), "x")
			return err
		}},
		"EndStranded": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.In("x", "uid").EndStranded(ctx)
			return err
		}},
		"StopDeleted": {store.WriteTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.In("x", "uid").StopDeleted(ctx)
			return err
		}},
		"BusyClusters": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, err := s.BusyClusters(ctx)
			return err
		}},
		"WaitingIn": {store.ReadTimeout, func(ctx context.Context, s *store.Store) error {
			_, _, err := s.WaitingIn(ctx, "x", 1)
			return err
		}},
	}
}
