package fleet

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/bench/link"
)

// slowApproaches wait most of the time, so that their runs share it.
var (
	slowApproaches  = []string{"sequential"}
	quickApproaches = []string{"goroutine_each", "batch_barrier", "penstock"}
)

// mostSequential is the most clusters that are asked one after the other.
const mostSequential = 100

// slowRun is one run over links of its own.
type slowRun struct {
	clusters, holes, first int
}

// slowRuns are those that are measured at the same time, over the links behind the first.
func (s *scene) slowRuns() []slowRun {
	var runs []slowRun
	next := s.most
	for _, clusters := range slices.Sorted(maps.Keys(s.sizes())) {
		if clusters > mostSequential {
			continue
		}
		for _, holes := range s.sizes()[clusters] {
			runs = append(runs, slowRun{clusters, holes, next})
			next += clusters
		}
	}
	return runs
}

func (s *scene) slowLinks() int {
	links := 0
	for _, run := range s.slowRuns() {
		links += run.clusters
	}
	return links
}

// races measures all approaches.
func (s *scene) races(ctx context.Context) error {
	for _, approach := range slowApproaches {
		if err := s.slow(ctx, approach); err != nil {
			return err
		}
	}
	for _, clusters := range slices.Sorted(maps.Keys(s.sizes())) {
		for _, approach := range quickApproaches {
			if err := s.quick(ctx, clusters, approach); err != nil {
				return err
			}
		}
		if clusters > mostSequential {
			for _, holes := range s.sizes()[clusters] {
				s.result.Runs = append(s.result.Runs, Run{
					Clusters: clusters, LatencyMS: int(away.Milliseconds()), BlackHoles: holes, Approach: "sequential",
					Skipped: "1,000 clusters one after the other take at least 200 s, and 2 s more for each black hole; 100 were measured",
				})
			}
		}
	}
	return nil
}

// slow measures the sizes of one approach at the same time.
func (s *scene) slow(ctx context.Context, approach string) error {
	runs := s.slowRuns()
	results := bounded.Map(ctx, len(runs), 0, runs, func(ctx context.Context, one slowRun) (Run, error) {
		links := s.network.Links[one.first : one.first+one.clusters]
		client, err := spawn(ctx, setup{Clusters: s.endpoints[one.first : one.first+one.clusters]})
		if err != nil {
			return Run{}, err
		}
		measured, err := s.race(client, links, one.holes, approach)
		return measured, errors.Join(err, client.stop())
	})
	for _, result := range results {
		if result.Err != nil {
			return result.Err
		}
		s.result.Runs = append(s.result.Runs, result.Value)
	}
	s.at.Say("sequential: measured, %d runs at the same time", len(runs))
	return nil
}

// quick measures one approach over so many clusters, with more and more black holes.
func (s *scene) quick(ctx context.Context, clusters int, approach string) error {
	client, err := spawn(ctx, setup{Clusters: s.endpoints[:clusters]})
	if err != nil {
		return err
	}
	for _, holes := range s.sizes()[clusters] {
		measured, err := s.race(client, s.network.Links[:clusters], holes, approach)
		if err != nil {
			return errors.Join(err, client.stop())
		}
		s.result.Runs = append(s.result.Runs, measured)
		s.at.Say("%s over %d clusters, %d black holes: %.2f s, %d answered", approach, clusters, holes, measured.Seconds, measured.Answered)
	}
	dig(s.network.Links[:clusters], 0)
	return client.stop()
}

// race measures one run.
func (s *scene) race(client *child, links []*link.Link, holes int, approach string) (Run, error) {
	dig(links, 0)
	if _, err := client.do(order{Do: "connect"}); err != nil {
		return Run{}, err
	}
	dig(links, holes)
	seen, err := client.do(order{Do: "race", Approach: approach})
	return Run{
		Clusters: len(links), LatencyMS: int(away.Milliseconds()), BlackHoles: holes, Approach: approach,
		Seconds: seen.Seconds, FirstResultSeconds: seen.FirstSeconds, Answered: seen.Answered, Failed: seen.Failed,
		PeakGoroutines: seen.PeakGoroutines, PeakConnections: seen.PeakConnections, RSSBytes: seen.RSSBytes,
	}, err
}
