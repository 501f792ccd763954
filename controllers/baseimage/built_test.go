package baseimage

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// plan commits a build of the CiPipeline java-base that has succeeded.
func (s *scene) plan(name string, minute int, artifacts ...v1alpha1.Artifact) {
	s.t.Helper()
	build := given.Build(name)
	build.Namespace, build.CiPipeline, build.CreatedAt = s.namespace, "java-base", time.Date(2026, 1, 1, 12, minute, 0, 0, time.UTC)
	planned, err := s.store.Plan(s.t.Context(), store.BuildPlan{Build: build, Artifacts: artifacts})
	require.NoError(s.t, err)
	require.True(s.t, planned)
}

// slow is a registry that does not answer before the test ends.
type slow struct {
	host  string
	asked atomic.Int64
}

func (s *scene) slowRegistry() *slow {
	made, ended := &slow{}, make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		made.asked.Add(1)
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	s.t.Cleanup(server.Close)
	s.t.Cleanup(func() { close(ended) })
	made.host = strings.TrimPrefix(server.URL, "http://")
	return made
}
