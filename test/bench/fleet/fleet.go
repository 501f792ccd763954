// Package fleet measures how fast many clusters answer together: four approaches over
// 10, 100 and 1,000 clusters that are 200 ms away, some of them black holes, and what
// Penstock promises of its own.
//
// Five real API servers are the clusters. A link stands before them for each name, with its
// own distance, and passes on what is encrypted. Each approach is a process of its own with
// its own connections, which are made before it counts, lists the pods of every cluster as a
// Table, and gives each the same time-out: 2 s, the product's deadline. The approach
// penstock is the code that `penstock server` answers with, at its defaults.
package fleet

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/link"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// away is the round trip to a cluster, batchAway that to the one of references.
	away      = 200 * time.Millisecond
	batchAway = 100 * time.Millisecond
	// fewHoles is how many of 1,000 clusters are black holes where bounds are measured.
	fewHoles = 5
	rounds   = 5
)

// Scenario is the scenario.
var Scenario = stage.Scenario{
	Name:     "fleet",
	Sentence: "10, 100 and 1,000 clusters, each 200 ms away, some of them black holes",
	Run:      run,
}

// fleet is what the measurements share.
type scene struct {
	at        *stage.Stage
	home      *env.Environment
	servers   servers
	network   *link.Network
	endpoints []endpoint
	most      int
	result    *Result
}

func run(ctx context.Context, at *stage.Stage) (result stage.Result, err error) {
	s := &scene{at: at, most: at.Size(1000, 40), result: &Result{}}
	if s.home, err = at.Start(ctx, env.Options{}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.home.Stop()) }()
	if s.servers, err = startServers(ctx, at); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.servers.stop()) }()
	// The slow approaches run at the same time, each over links of its own.
	if s.network, err = link.New(s.servers.addresses(), s.most+s.slowLinks(), away); err != nil {
		return nil, err
	}
	defer s.network.Close()
	if s.endpoints, err = s.servers.endpoints(s.network.Links); err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx, store.Config{URL: s.home.DatabaseURL, Schema: fixture.Schema, MaxConns: 1}); err != nil {
		return nil, err
	}
	for _, measure := range []func(context.Context) error{s.races, s.warm, s.thousand} {
		if err := measure(ctx); err != nil {
			return nil, err
		}
	}
	return s.result, nil
}

// sizes are the numbers of clusters, each with its numbers of black holes: none, 2 % and
// 5 %, and the 5 of 1,000 that the bounds speak of. Of 10, one is the least.
func (s *scene) sizes() map[int][]int {
	if s.at.Small {
		return map[int][]int{10: {0, 1}, s.most: {0, 2}}
	}
	return map[int][]int{10: {0, 1}, 100: {0, 2, 5}, 1000: {0, fewHoles, 20, 50}}
}

// dig makes black holes of some of the links, evenly spread, and others good again.
func dig(links []*link.Link, holes int) {
	for _, one := range links {
		one.Swallow(false)
	}
	for i := range holes {
		links[int(math.Floor((float64(i)+0.5)*float64(len(links))/float64(holes)))].Swallow(true)
	}
}
