package cluster

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// spare is how much more a process may hold after clusters came and went: caches of the
// runtime and of TLS.
const spare = 6 << 20

// held is what a cluster's closed connection may hold, for at most two minutes more: its
// buffers, which golang.org/x/net's idle timer refers to where a stream ended after the close.
const held = 32 << 10

// It is not parallel, since it looks at the memory of the whole process.
func TestClustersThatCameAndWentLeaveNoMemoryNoGoroutineAndNoConnection(t *testing.T) {
	const many = 200
	s := newScene(t, func(c *Config) {
		c.Interval, c.Parallelism, c.Events = time.Hour, 50, events.NewFakeRecorder(3*many)
	})
	server := target.New(t)
	s.secret("shared", server.Kubeconfig(t))
	s.comeAndGo(server, 20)
	before, goroutines := heap(), runtime.NumGoroutine()
	s.comeAndGo(server, many)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+5 }, patience, 50*time.Millisecond)
	require.Less(t, heap(), before+spare+many*held)
}

// comeAndGo creates so many clusters, waits until each was probed, and deletes them.
func (s *scene) comeAndGo(server *target.Server, many int) {
	s.t.Helper()
	errs := bounded.ForEach(s.t.Context(), 8, patience, make([]int, many), func(ctx context.Context, _ int) error {
		cluster := given.TargetCluster("", given.Labelled("test", s.prefix), func(c *v1alpha1.TargetCluster) {
			c.GenerateName, c.Spec.KubeconfigSecretRef.Name = s.prefix+".c", s.name("shared")
		})
		return s.cluster.Create(ctx, cluster)
	})
	for _, err := range errs {
		require.NoError(s.t, err)
	}
	const long = 5 * patience
	require.Eventually(s.t, func() bool { return s.Members.Connections() == many }, long, 20*time.Millisecond)
	require.NoError(s.t, s.cluster.DeleteAllOf(s.t.Context(), &v1alpha1.TargetCluster{}, client.MatchingLabels{"test": s.prefix}))
	require.Eventually(s.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.Members.Connections() == 0 && len(s.records) == 0
	}, long, 20*time.Millisecond, "%s", fmt.Sprint(many))
	server.Reset()
}

// heap is what is in use after the garbage was collected.
func heap() uint64 {
	var stats runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
