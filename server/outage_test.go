package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

func TestADatabaseThatIsAwayIsToldWithinABoundedTime(t *testing.T) {
	t.Parallel()
	s, proxy := newProxied(t)
	namespace := local.NewNamespace(t)
	s.plan(t, namespace, "b1", family(namespace, "web"))
	token := s.reader(t, namespace)
	require.Equal(t, http.StatusOK, s.get(t, token, paths(namespace)[0]).status)

	proxy.Stall()
	for _, path := range []string{paths(namespace)[0], paths(namespace)[1], paths(namespace)[7]} {
		began := time.Now()
		got := s.get(t, token, path)
		require.Contains(t, got.detail(t, http.StatusServiceUnavailable), "try again later", path)
		require.Equal(t, "5", got.header.Get("Retry-After"))
		require.Less(t, time.Since(began), 6*time.Second, path)
	}
	require.Equal(t, http.StatusOK, s.get(t, "", "/healthz").status)
	require.Equal(t, http.StatusOK, s.get(t, "", "/readyz").status, "callers are told, and Kubernetes is not: all replicas would go at once")
	proxy.Cut()
	proxy.Resume()
	require.Eventually(t, func() bool { return s.get(t, token, paths(namespace)[0]).status == http.StatusOK }, patience, 200*time.Millisecond)
	for _, path := range paths(namespace) {
		require.Equal(t, http.StatusOK, s.get(t, token, path).status, path)
	}
	require.NotContains(t, s.log.String(), "hunter2")
}

func TestTheServerIsNotReadyBeforeTheControllerHasMadeTheTables(t *testing.T) {
	t.Parallel()
	url := local.NewDatabase(t)
	s := newScene(t, options{databaseURL: url, unready: true})
	token := s.nobody(t)
	require.Eventually(t, func() bool {
		got := s.get(t, "", "/readyz")
		return got.status == http.StatusServiceUnavailable
	}, patience, look)
	got := s.get(t, token, "/api/v1/queue")
	require.Contains(t, got.detail(t, http.StatusServiceUnavailable), "not ready")
	require.Equal(t, "5", got.header.Get("Retry-After"))

	rows := openRows(t, url)
	s.awaitReady()
	require.Equal(t, http.StatusForbidden, s.get(t, token, "/api/v1/queue").status)

	// A newer Penstock has migrated: this one does not know what the tables mean.
	_, err := rows.Pool().Exec(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.get(t, "", "/readyz").status == http.StatusServiceUnavailable }, patience, 100*time.Millisecond)
}

func TestTheServerWritesNothing(t *testing.T) {
	t.Parallel()
	url := local.NewDatabase(t)
	openRows(t, url)
	reading, err := store.Open(t.Context(), store.Config{URL: url, Schema: "penstock", MaxConns: 1, ReadOnly: true})
	require.NoError(t, err)
	t.Cleanup(reading.Close)
	_, err = reading.Pool().Exec(t.Context(), "DELETE FROM event")
	require.ErrorContains(t, err, "read-only transaction")
}

func TestTheConnectionsOfTheServerAreBounded(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+paths(namespace)[1], nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	statuses := make(chan int)
	for range 40 {
		go func() {
			response, err := s.client.Do(request)
			if err != nil {
				statuses <- 0
				return
			}
			_ = response.Body.Close()
			statuses <- response.StatusCode
		}()
	}
	for range 40 {
		require.Equal(t, http.StatusOK, <-statuses)
	}
	var open int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(),
		"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_stat_activity%')").Scan(&open))
	require.LessOrEqual(t, open, 4+4, "those of the server, and of this test")
}
