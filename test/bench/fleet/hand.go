package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
	"github.com/penstock-cd/penstock/pkg/fleet/table"
	"github.com/penstock-cd/penstock/test/measure"
)

var (
	pods        = fleet.Kind{Resource: "pods"}
	services    = fleet.Kind{Resource: "services"}
	deployments = fleet.Kind{Group: "apps", Resource: "deployments"}
	configMaps  = fleet.Kind{Resource: "configmaps"}
)

const (
	// deadline is for how long an answer waits: the product's own default.
	deadline = 2 * time.Second
	// parallelism is how many clusters are asked at once, and the size of a batch.
	parallelism = 100
	// connectTimeout bounds making the connections before it counts.
	connectTimeout = 20 * time.Second
	// peakInterval is how often goroutines and connections are counted.
	peakInterval = 5 * time.Millisecond
)

// hand is a process with one client for each cluster.
type hand struct {
	given   setup
	clients []*fleet.Client
	byName  map[string]*fleet.Client
	targets []resources.Target
	probes  *probes
}

func newHand(given setup) (*hand, error) {
	h := &hand{given: given, byName: map[string]*fleet.Client{}}
	for _, cluster := range given.Clusters {
		config, err := fleet.Parse(cluster.Kubeconfig)
		if err != nil {
			return nil, err
		}
		client, err := fleet.NewClient(config)
		if err != nil {
			return nil, err
		}
		h.clients = append(h.clients, client)
		h.byName[cluster.Name] = client
		h.targets = append(h.targets, resources.Target{Target: fleet.Target{Name: cluster.Name, UID: types.UID(cluster.Name)}})
	}
	return h, nil
}

func (h *hand) close() {
	for _, client := range h.clients {
		client.Close()
	}
	if h.probes != nil {
		h.probes.stop()
	}
}

// Client implements fleet.Clients.
func (h *hand) Client(_ context.Context, name string) (*fleet.Client, error) {
	if client := h.byName[name]; client != nil {
		return client, nil
	}
	return nil, fmt.Errorf("cluster %s: %w", name, fleet.ErrNoMember)
}

// connect has every cluster answer once, so that connections are warm. A connection that
// was cut is noticed by the first request.
func (h *hand) connect(ctx context.Context, _ order) (figures, error) {
	errs := bounded.ForEach(ctx, parallelism, connectTimeout, h.clients, func(ctx context.Context, client *fleet.Client) (err error) {
		for range 3 {
			if err = health(ctx, client); err == nil {
				return nil
			}
		}
		return err
	})
	return figures{}, errors.Join(errs...)
}

// health is the request of a probe, without what a probe makes of it.
func health(ctx context.Context, client *fleet.Client) error {
	response, err := client.Do(ctx, http.MethodGet, "/livez", nil, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// list reads a kind of one cluster, as all approaches do.
func list(ctx context.Context, client *fleet.Client, kind fleet.Kind) error {
	resource, err := client.Resolve(ctx, kind)
	if err != nil {
		return err
	}
	response, err := client.Do(ctx, http.MethodGet, resource.Path("", ""), url.Values{"limit": {"500"}}, http.Header{"Accept": {table.Accept}}, nil)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	return new(table.Page).Read(response.Body, 500)
}

// watched runs something, and returns how long it took and what it needed.
func (h *hand) watched(ctx context.Context, run func(context.Context) error) (figures, error) {
	goroutines := measure.WatchPeak(ctx, peakInterval, func(context.Context) (int, error) { return runtime.NumGoroutine(), nil })
	connections := measure.WatchPeak(ctx, peakInterval, func(context.Context) (int, error) {
		open := 0
		for _, client := range h.clients {
			open += client.Connections()
		}
		return open, nil
	})
	began := time.Now()
	err := run(ctx)
	answer := figures{Seconds: time.Since(began).Seconds()}
	memory, memoryErr := measure.MemoryOf(os.Getpid())
	answer.RSSBytes = memory.Resident
	if err == nil {
		err = memoryErr
	}
	for peak, into := range map[*measure.Peak]*int{goroutines: &answer.PeakGoroutines, connections: &answer.PeakConnections} {
		most, peakErr := peak.Stop()
		if err == nil {
			err = peakErr
		}
		*into = most
	}
	return answer, err
}
