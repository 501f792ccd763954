package resources

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/target"
	"github.com/penstock-cd/penstock/test/target/clients"
)

// A page of 500 of three kinds over 1,000 clusters, from what is known.
func BenchmarkCachedPage(b *testing.B) {
	set := clients.New(b)
	server := target.New(b)
	for path, kind := range map[string]string{"/api/v1/pods": "Pod", "/api/v1/services": "Service", "/apis/apps/v1/deployments": "Deployment"} {
		server.List(path, target.List{Kind: kind, Objects: target.Objects("shop", 20)})
	}
	l := New(Config{Clients: set, Deadline: time.Minute, FreshFor: time.Hour, KeepFor: 2 * time.Hour, CacheBytes: 256 << 20})
	b.Cleanup(l.Close)
	query := Query{Kinds: []fleet.Kind{pods, services, deployments}}
	for i := range 1000 {
		query.Targets = append(query.Targets, Target{Target: set.AddServer(b, fmt.Sprintf("c%04d", i), server)})
	}
	answer, err := l.List(b.Context(), query)
	require.NoError(b, err)
	require.True(b, answer.Complete, answer.Clusters[0].Error)
	b.ReportMetric(float64(l.Stats().Bytes)/float64(l.Stats().Entries), "bytes/entry")
	for b.Loop() {
		if _, err := l.List(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
}
