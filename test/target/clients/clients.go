// Package clients reaches the clusters of a test by name, without TargetClusters. It writes
// nothing.
package clients

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/target"
)

// Set is clients by the names of clusters. It is safe for
// concurrent use.
type Set struct {
	mu      sync.Mutex
	clients map[string]*fleet.Client
	errs    map[string]error
}

// New returns none, and closes those that are added when the test ends.
func New(t testing.TB) *Set {
	t.Helper()
	c := &Set{clients: map[string]*fleet.Client{}, errs: map[string]error{}}
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, client := range c.clients {
			client.Close()
		}
	})
	return c
}

// Add adds a cluster that a configuration reaches.
func (c *Set) Add(t testing.TB, name string, config *rest.Config) fleet.Target {
	t.Helper()
	client, err := fleet.NewClient(config)
	require.NoError(t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[name] = client
	return fleet.Target{Name: name, UID: types.UID("uid of " + name)}
}

// AddServer adds a cluster whose API server is this one.
func (c *Set) AddServer(t testing.TB, name string, server *target.Server) fleet.Target {
	t.Helper()
	config, err := fleet.Parse(server.Kubeconfig(t))
	require.NoError(t, err)
	return c.Add(t, name, config)
}

// Fail has there be no client for a name.
func (c *Set) Fail(name string, err error) fleet.Target {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs[name] = err
	return fleet.Target{Name: name, UID: types.UID("uid of " + name)}
}

// Client returns the client of a cluster.
func (c *Set) Client(_ context.Context, name string) (*fleet.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.clients[name]; client != nil {
		return client, nil
	}
	if err := c.errs[name]; err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("cluster %s: %w", name, fleet.ErrNoMember)
}
