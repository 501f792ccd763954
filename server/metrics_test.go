package server

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestTheDocumentListsTheMetricsOfTheServer(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://penstock@127.0.0.1:1/penstock")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	m := newMeasures(pool.Stat)
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		m.registry.Describe(described)
	}()
	form := regexp.MustCompile(`^Desc\{fqName: "(penstock_[^"]+)", help: "([^"]*)"`)
	served := map[string]string{}
	for one := range described {
		if parts := form.FindStringSubmatch(one.String()); parts != nil {
			served[parts[1]] = parts[2]
		}
	}
	text, err := os.ReadFile("../docs/api.md")
	require.NoError(t, err)
	listed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, " | "); len(cells) == 4 && strings.HasPrefix(line, "| `penstock_") {
			listed[strings.Trim(cells[0], "| `")] = strings.TrimSuffix(strings.TrimSpace(cells[3]), " |")
		}
	}
	require.Equal(t, served, listed)
}
