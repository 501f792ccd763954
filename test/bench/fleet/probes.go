package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/controllers/cluster"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// probesWithin bounds a round of probes.
	probesWithin = 2 * time.Minute
	// countInterval is how often the probes that have ended are counted.
	countInterval = 20 * time.Millisecond
)

// probes is the controller's prober, over TargetClusters of a real API server.
type probes struct {
	prober *cluster.Prober
	names  []string
	end    context.CancelFunc
	ended  chan struct{}
	rows   *store.Store
}

// silence keeps no events.
type silence struct{}

// Eventf implements events.EventRecorder.
func (silence) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// startProbes starts the prober, and returns when so many clusters were probed, each for
// the first time. The version and the rights are not asked for, which is done now and then.
func (h *hand) startProbes(ctx context.Context, one order) (figures, error) {
	home, err := clientcmd.BuildConfigFromFlags("", h.given.Home)
	if err != nil {
		return figures{}, err
	}
	home.QPS = -1
	life, end := context.WithCancel(ctx)
	p := &probes{end: end, ended: make(chan struct{})}
	h.probes = p
	if p.rows, err = store.Open(ctx, store.Config{URL: h.given.DatabaseURL, Schema: fixture.Schema, MaxConns: 2}); err != nil {
		close(p.ended)
		return figures{}, err
	}
	for _, cluster := range h.given.Clusters {
		p.names = append(p.names, cluster.Name)
	}
	began := time.Now()
	if err := p.start(life, home); err != nil {
		close(p.ended)
		return figures{}, err
	}
	err = p.await(ctx, uint64(one.Want))
	return figures{Seconds: time.Since(began).Seconds()}, err
}

func (p *probes) start(ctx context.Context, home *rest.Config) error {
	scheme, err := fixture.Scheme()
	if err != nil {
		return err
	}
	cached, err := cache.New(home, cache.Options{Scheme: scheme, ByObject: map[client.Object]cache.ByObject{
		&corev1.Secret{}: {Namespaces: map[string]cache.Config{env.ControllerNamespace: {}}, Transform: fleet.TrimSecret},
	}})
	if err != nil {
		return err
	}
	live, err := client.New(home, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	p.prober = cluster.New(cluster.Config{
		Members: fleet.MembersConfig{Namespace: env.ControllerNamespace, Cache: cached, Live: live, Home: home, UserAgent: "penstock/bench"},
		Writer:  live, History: p.rows, Events: silence{}, Interval: time.Hour, Parallelism: parallelism, Log: logr.Discard(),
	})
	if err := p.prober.Members.Watch(ctx, cached); err != nil {
		return err
	}
	go func() { _ = cached.Start(ctx) }()
	if !cached.WaitForCacheSync(ctx) {
		return errors.New("the TargetClusters are not known")
	}
	go func() {
		defer close(p.ended)
		_ = p.prober.Start(ctx)
	}()
	return nil
}

func (p *probes) stop() {
	p.end()
	<-p.ended
	if p.rows != nil {
		p.rows.Close()
	}
}

// probeRound has every cluster probed at once, and returns when so many were.
func (h *hand) probeRound(ctx context.Context, one order) (figures, error) {
	before, err := probed()
	if err != nil {
		return figures{}, err
	}
	began := time.Now()
	for _, name := range h.probes.names {
		h.probes.prober.Members.OnChange(name)
	}
	err = h.probes.await(ctx, before+uint64(one.Want))
	return figures{Seconds: time.Since(began).Seconds()}, err
}

// await waits until so many probes have ended since the process began.
func (p *probes) await(ctx context.Context, want uint64) error {
	ctx, cancel := context.WithTimeout(ctx, probesWithin)
	defer cancel()
	for {
		count, err := probed()
		if err != nil || count >= want {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d probes have ended: %w", count, want, ctx.Err())
		case <-time.After(countInterval):
		}
	}
}

// probed is how many probes have ended.
func probed() (uint64, error) {
	families, err := metrics.Registry.Gather()
	if err != nil {
		return 0, err
	}
	for _, family := range families {
		if family.GetName() == "penstock_cluster_probe_seconds" {
			return family.GetMetric()[0].GetHistogram().GetSampleCount(), nil
		}
	}
	return 0, errors.New("probes are not counted")
}
