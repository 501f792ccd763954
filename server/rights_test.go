package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/test/env/fault"
)

// paths are every endpoint about one namespace.
func paths(namespace string) []string {
	base := "/api/v1/namespaces/" + namespace
	return []string{
		base + "/applications", base + "/applications/shop/status", base + "/builds", base + "/builds/b1", base + "/pipelines/web/runs", base + "/runs/1",
		"/api/v1/queue?namespace=" + namespace, "/api/v1/events?namespace=" + namespace,
	}
}

func TestAUserSeesTheNamespacesThatTheyMayRead(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	mine, theirs := local.NewNamespace(t), local.NewNamespace(t)
	s.plan(t, mine, "b1", family(mine, "web"))
	s.plan(t, theirs, "b1", family(theirs, "web", "api"))
	all, one, none := s.reader(t), s.reader(t, mine), s.nobody(t)

	for _, path := range paths(mine) {
		require.Equal(t, http.StatusOK, s.get(t, one, path).status, path)
		require.Contains(t, s.get(t, none, path).detail(t, http.StatusForbidden), "in namespace "+mine, path)
	}
	for _, path := range paths(theirs) {
		require.Contains(t, s.get(t, one, path).detail(t, http.StatusForbidden), "in namespace "+theirs, path)
	}
	require.Equal(t, http.StatusNotFound, s.get(t, one, "/api/v1/namespaces/"+mine+"/runs/2").status, "a run of another namespace is not found")

	for _, path := range []string{"/api/v1/queue", "/api/v1/events"} {
		require.Contains(t, s.get(t, none, path).detail(t, http.StatusForbidden), "may not list", path)
		require.Contains(t, s.get(t, one, path+"?namespace="+mine+","+theirs).detail(t, http.StatusForbidden), theirs, path)
	}
	var queue rest.Queue
	s.get(t, one, "/api/v1/queue").into(t, &queue)
	require.Len(t, queue.Items, 1)
	require.EqualValues(t, 1, queue.Counts.Pending)
	require.Equal(t, mine, queue.Items[0].Namespace)
	s.get(t, all, "/api/v1/queue").into(t, &queue)
	require.Len(t, queue.Items, 3)
	s.settled(t, one, mine)
	var events rest.EventList
	s.get(t, one, "/api/v1/events").into(t, &events)
	require.NotEmpty(t, events.Items)
	for _, event := range events.Items {
		require.Equal(t, mine, event.Namespace)
	}
	require.Contains(t, s.log.String(), "request refused")
	require.Contains(t, s.log.String(), `\"status\"=403`)
}

// No row is read for who is refused: a database that hangs delays no refusal.
func TestARefusalNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	url := local.NewDatabase(t)
	openRows(t, url)
	proxy, err := fault.NewPostgres(url)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	s := newScene(t, options{databaseURL: proxy.URL})
	none := s.nobody(t)
	proxy.Stall()
	for _, path := range paths("default") {
		require.Equal(t, http.StatusForbidden, s.get(t, none, path).status, path)
		if !strings.HasSuffix(path, "/applications") {
			require.Equal(t, http.StatusForbidden, s.get(t, none, path+sign(path)+"watch=true").status, path)
		}
		require.Equal(t, http.StatusUnauthorized, s.get(t, "", path).status, path)
	}
	proxy.Resume()
}

func sign(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

func TestMetricsNeedTheRightToThePath(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	require.Contains(t, s.get(t, s.nobody(t), "/metrics").detail(t, http.StatusForbidden), "nonResourceURLs")
}
