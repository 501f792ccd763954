package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/callers"
	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// users share the requests, since each has a rate of its own.
	users = 20
	// settle is how long a process is left alone before its memory is read.
	settle = 5 * time.Second
	// knownWithin bounds the time until black holes are known to be some.
	knownWithin = time.Minute
	// pagesEvery is the time between two pages, so that they are spread over several
	// renewals of what is known, which happen every 5 s.
	pagesEvery = 50 * time.Millisecond
	// serverWatch is how often the server's goroutines and connections are read.
	serverWatch = 200 * time.Millisecond
	// requestsAtOnce is how many requests to clusters the server has under way at most.
	requestsAtOnce = parallelism
)

// thousand measures the probes, and the server, with 5 black holes.
func (s *scene) thousand(ctx context.Context) (err error) {
	if err := s.home.InstallServer(ctx); err != nil {
		return err
	}
	if err := s.declare(ctx); err != nil {
		return err
	}
	dig(s.network.Links[:s.most], fewHoles)
	prober, err := spawn(ctx, setup{Clusters: s.endpoints[:s.most], Home: s.home.Kubeconfig, DatabaseURL: s.home.DatabaseURL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, prober.stop()) }()
	if err := s.probe(ctx, prober); err != nil {
		return err
	}
	return s.serve(ctx)
}

// declare creates the TargetClusters, each with a Secret of its own.
func (s *scene) declare(ctx context.Context) error {
	admin, err := s.home.NewClient(env.Admin)
	if err != nil {
		return err
	}
	objects := make([]client.Object, 0, 2*s.most)
	for _, cluster := range s.endpoints[:s.most] {
		objects = append(objects, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: cluster.Name}, Data: map[string][]byte{"kubeconfig": cluster.Kubeconfig},
		}, given.TargetCluster(cluster.Name))
	}
	err = createAll(ctx, admin, objects)
	s.at.Say("%d TargetClusters created", s.most)
	return err
}

// probe has all clusters probed twice, first without connections.
func (s *scene) probe(ctx context.Context, prober *child) error {
	t := &s.result.Thousand
	t.ProbeParallelism = parallelism
	first, err := prober.do(order{Do: "start-probes", Want: s.most - fewHoles})
	if err != nil {
		return err
	}
	s.at.Say("every cluster that answers was probed for the first time in %.2f s", first.Seconds)
	if err := s.awaitKnown(ctx); err != nil {
		return err
	}
	next, err := prober.do(order{Do: "probe-round", Want: s.most - fewHoles})
	if err != nil {
		return err
	}
	t.FirstProbesSeconds, t.ProbesSeconds = first.Seconds, next.Seconds
	s.at.Say("and again in %.2f s", next.Seconds)
	return nil
}

// awaitKnown waits until every cluster has its phase.
func (s *scene) awaitKnown(ctx context.Context) error {
	admin, err := s.home.NewClient(env.Admin)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	for {
		var list v1alpha1.TargetClusterList
		if err := admin.List(ctx, &list); err != nil {
			return fmt.Errorf("wait for the phases of all clusters: %w", err)
		}
		phases := map[v1alpha1.ClusterPhase]int{}
		for i := range list.Items {
			phases[list.Items[i].Status.Phase]++
		}
		if phases[v1alpha1.ClusterHealthy] == s.most-fewHoles && phases[v1alpha1.ClusterUnreachable] == fewHoles {
			s.at.Say("black holes are known to be unreachable")
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the phases of all clusters: %v", phases)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// serve asks a server for pages of what it knows.
func (s *scene) serve(ctx context.Context) (err error) {
	server, err := s.home.StartServer(ctx, env.ServerOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	asking, err := callers.New(ctx, s.home, server, "penstock-cluster-reader", users)
	if err != nil {
		return err
	}
	defer asking.Close()
	link.Wait(ctx, settle)
	idle, err := measure.MemoryOf(server.PID())
	if err != nil {
		return err
	}
	watched := watchServer(ctx, server.MetricsURL, server.PID())
	if err := s.pages(ctx, asking); err != nil {
		return err
	}
	memory, err := measure.MemoryOf(server.PID())
	if err != nil {
		return err
	}
	t := &s.result.Thousand
	t.ServerIdleBytes, t.ServerPeakBytes = idle.Resident, memory.Peak
	if t.Goroutines, err = watched[0].Stop(); err != nil {
		return err
	}
	if t.Connections, err = watched[1].Stop(); err != nil {
		return err
	}
	t.GoroutinesBound = 3*t.Connections + 10*requestsAtOnce
	return nil
}

// watchServer counts goroutines and connections.
func watchServer(ctx context.Context, metricsURL string, pid int) [2]*measure.Peak {
	return [2]*measure.Peak{
		measure.WatchPeak(ctx, serverWatch, func(ctx context.Context) (int, error) {
			count, err := measure.Metric(ctx, metricsURL, "go_goroutines")
			return int(count), err
		}),
		measure.WatchPeak(ctx, serverWatch, func(context.Context) (int, error) { return sockets(pid) }),
	}
}

// sockets is how many a process has open.
func sockets(pid int) (int, error) {
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, err
	}
	open := 0
	for _, entry := range entries {
		if to, err := os.Readlink(folder + "/" + entry.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			open++
		}
	}
	return open, nil
}

const page = "/api/v1/clusters/resources?kinds=pods&limit=500"

// pages asks until everything is known, and then again and again.
func (s *scene) pages(ctx context.Context, asking *callers.Callers) error {
	for i := 0; s.result.Thousand.Answered < s.most-fewHoles; i++ {
		answered, err := answeredBy(ctx, asking, i)
		if err != nil {
			return err
		}
		s.at.Say("%d clusters are in the answer", answered)
		s.result.Thousand.Answered = answered
		if i > 60 {
			return fmt.Errorf("%d of %d clusters answer", answered, s.most-fewHoles)
		}
	}
	var took []time.Duration
	began := time.Now()
	for i := range s.at.Size(400, 20) {
		link.Wait(ctx, time.Until(began.Add(time.Duration(i)*pagesEvery)))
		one, err := asking.One(ctx, i, page)
		if err != nil {
			return err
		}
		took = append(took, one)
	}
	s.result.Cache = Cache{P50: measure.Milliseconds(measure.Percentile(took, 50)), P99: measure.Milliseconds(measure.Percentile(took, 99))}
	s.at.Say("asked for %d pages: p50 %.1f ms, p99 %.1f ms", len(took), s.result.Cache.P50, s.result.Cache.P99)
	return nil
}

// answeredBy is how many clusters have answered what is in an answer.
func answeredBy(ctx context.Context, asking *callers.Callers, user int) (int, error) {
	response, err := asking.Request(ctx, user, page)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer rest.ResourceList
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	answered := 0
	for _, cluster := range answer.Clusters {
		if cluster.State == "Fresh" || cluster.State == "Stale" {
			answered++
		}
	}
	return answered, nil
}
