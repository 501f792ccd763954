package fleet

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/batchget"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
	"github.com/penstock-cd/penstock/test/measure"
)

// fanOut makes a bare request for each input, all at once, and returns how long each took.
func fanOut[T any](ctx context.Context, inputs []T, ask func(context.Context, T) error) ([]time.Duration, error) {
	took := make([]time.Duration, len(inputs))
	errs := make([]error, len(inputs))
	var group sync.WaitGroup
	for i, input := range inputs {
		group.Go(func() {
			began := time.Now()
			errs[i] = ask(ctx, input)
			took[i] = time.Since(began)
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// timed returns the median of some rounds of each of two ways, which take turns.
func timed(rounds int, one, other func() error) (first, second time.Duration, err error) {
	var took [2][]time.Duration
	for range rounds {
		for i, run := range []func() error{one, other} {
			began := time.Now()
			if err := run(); err != nil {
				return 0, 0, err
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	return measure.Median(took[0]), measure.Median(took[1]), nil
}

// health compares probes of all clusters with a bare fan-out of the same requests.
func (h *hand) health(ctx context.Context, one order) (figures, error) {
	bare, probed, err := timed(one.Rounds, func() error {
		_, err := fanOut(ctx, h.clients, health)
		return err
	}, func() error {
		for _, result := range bounded.Map(ctx, parallelism, 0, h.clients, func(ctx context.Context, client *fleet.Client) (fleet.Observation, error) {
			return fleet.Probe(ctx, client, nil), nil
		}) {
			if result.Err != nil {
				return result.Err
			}
			if result.Value.Failure != nil {
				return result.Value.Failure
			}
		}
		return nil
	})
	return figures{BareSeconds: bare.Seconds(), Seconds: probed.Seconds()}, err
}

// three are the kinds that are listed together.
var three = []fleet.Kind{pods, deployments, services}

// kinds compares one answer of three kinds of all clusters with the slowest single answer
// of a bare fan-out of the same requests.
func (h *hand) kinds(ctx context.Context, one order) (figures, error) {
	type request struct {
		client *fleet.Client
		kind   fleet.Kind
	}
	var requests []request
	for _, client := range h.clients {
		for _, kind := range three {
			requests = append(requests, request{client, kind})
		}
	}
	lister := resources.New(resources.Config{Clients: h})
	defer lister.Close()
	var slowest []time.Duration
	bare, listed, err := timed(one.Rounds, func() error {
		took, err := fanOut(ctx, requests, func(ctx context.Context, r request) error { return list(ctx, r.client, r.kind) })
		slowest = append(slowest, measure.Percentile(took, 100))
		return err
	}, func() error {
		answer, err := lister.List(ctx, resources.Query{Kinds: three, Targets: h.targets, Fresh: true})
		if err == nil && !answer.Complete {
			err = fmt.Errorf("an answer lacks something: %+v", answer.Clusters)
		}
		return err
	})
	return figures{BareSeconds: bare.Seconds(), Seconds: listed.Seconds(), SlowestSeconds: measure.Median(slowest).Seconds()}, err
}

// down lists three kinds while some clusters are black holes. GoodSeconds is when the last
// of those that answer has, Seconds when the answer is there.
func (h *hand) down(ctx context.Context, one order) (figures, error) {
	lister := resources.New(resources.Config{Clients: h})
	defer lister.Close()
	query := resources.Query{Kinds: three, Targets: h.targets}
	began := time.Now()
	streaming, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	var good time.Duration
	group.Go(func() {
		parts := 0
		_ = lister.Stream(streaming, query, func(part resources.Part) error {
			if part.Cluster.State == resources.Fresh {
				parts++
			}
			if parts == one.Want*len(three) && good == 0 {
				good = time.Since(began)
			}
			return nil
		})
	})
	answer, err := lister.List(ctx, query)
	took := time.Since(began)
	stop()
	group.Wait()
	told := figures{Seconds: took.Seconds(), GoodSeconds: good.Seconds()}
	for _, cluster := range answer.Clusters {
		if cluster.State == resources.Fresh {
			told.Answered++
			continue
		}
		told.Failed++
		if cluster.Name != "" && cluster.Error != "" {
			told.Named++
		}
	}
	return told, err
}

// gets asks the first cluster for several objects at once, without what Penstock adds, and
// returns how long one of them takes.
func (h *hand) gets(ctx context.Context, one order) (figures, error) {
	var all []time.Duration
	for range one.Rounds {
		took, err := fanOut(ctx, make([]struct{}, one.Want), func(ctx context.Context, _ struct{}) error {
			return h.clients[0].Read(ctx, http.MethodGet, "/api/v1/namespaces/"+namespace+"/configmaps/settings-00", nil, 1<<20, nil)
		})
		if err != nil {
			return figures{}, err
		}
		all = append(all, took...)
	}
	return figures{BareSeconds: measure.Median(all).Seconds()}, nil
}

// batch gets objects of the first cluster by reference. BareSeconds is a call for one.
func (h *hand) batch(ctx context.Context, one order) (figures, error) {
	config := batchget.Config{Clients: h, InFlight: one.InFlight, CoalesceFrom: -1}
	if one.Coalesce {
		config.CoalesceFrom = 0
	}
	getter := batchget.New(config)
	defer getter.Close()
	references := make([]batchget.Reference, one.Want)
	for i := range references {
		references[i] = batchget.Reference{Target: h.targets[0].Target, Kind: configMaps, Namespace: namespace, Name: fmt.Sprintf("settings-%02d", i)}
	}
	var took, single []time.Duration
	for range one.Rounds {
		began := time.Now()
		if err := got(getter.Get(ctx, references[:1])); err != nil {
			return figures{}, err
		}
		single = append(single, time.Since(began))
		began = time.Now()
		if err := got(getter.Get(ctx, references)); err != nil {
			return figures{}, err
		}
		took = append(took, time.Since(began))
	}
	return figures{Seconds: measure.Median(took).Seconds(), BareSeconds: measure.Median(single).Seconds()}, nil
}

func got(answers []batchget.Answer, err error) error {
	for _, answer := range answers {
		if err == nil && answer.Err != nil {
			err = answer.Err
		}
	}
	return err
}
