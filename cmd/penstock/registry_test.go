package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
)

// libraries are the prefixes of metrics that are not ours.
var libraries = regexp.MustCompile(`^(controller_runtime|workqueue|rest_client|leader_election|certwatcher|go|process)_`)

// wire makes the manager as the process does, which registers every metric. The
// database is not asked for anything.
func wire(t *testing.T) {
	t.Helper()
	settings, _, err := config.Load(map[string]string{
		"DATABASE_URL": "postgres://penstock@127.0.0.1:1/penstock", "POD_NAMESPACE": "default",
		"METRICS_BIND_ADDRESS": "0", "HEALTH_PROBE_BIND_ADDRESS": "0",
	})
	require.NoError(t, err)
	database, err := store.Open(t.Context(), databaseOf(settings))
	require.NoError(t, err)
	t.Cleanup(database.Close)
	_, err = newManager(t.Context(), local.Config, settings, database, logr.Discard())
	require.NoError(t, err)
}

// description is what a metric tells of itself before it has a value.
type description struct {
	help   string
	labels []string
}

// describe returns all that is registered, by name.
func describe(t *testing.T) map[string]description {
	t.Helper()
	registry, ok := metrics.Registry.(prometheus.Collector)
	require.True(t, ok)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		defer close(descriptions)
		registry.Describe(descriptions)
	}()
	// A Desc shows what it holds only as text.
	form := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ("(?:[^"\\]|\\.)*"), .*variableLabels: \{([^}]*)\}\}$`)
	described := map[string]description{}
	for one := range descriptions {
		parts := form.FindStringSubmatch(one.String())
		require.NotNil(t, parts, one.String())
		help, err := strconv.Unquote(parts[2])
		require.NoError(t, err)
		labels := strings.FieldsFunc(parts[3], func(r rune) bool { return r == ',' })
		described[parts[1]] = description{help: help, labels: labels}
	}
	return described
}

// gather returns our metrics with their types, by name. One with labels is not
// gathered before it has values: it is given some.
func gather(t *testing.T, described map[string]description) map[string]*dto.MetricFamily {
	t.Helper()
	for name, one := range described {
		if strings.HasPrefix(name, "penstock_") && len(one.labels) > 0 {
			touch(t, name, one)
		}
	}
	families, err := metrics.Registry.Gather()
	require.NoError(t, err)
	ours := map[string]*dto.MetricFamily{}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "penstock_") {
			ours[family.GetName()] = family
		}
	}
	for name := range described {
		require.True(t, ours[name] != nil || libraries.MatchString(name), "%s is not gathered", name)
	}
	return ours
}

// touch makes one series. The registry gives a collector to who registers its like.
func touch(t *testing.T, name string, one description) {
	t.Helper()
	like := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: one.help}, one.labels)
	var registered prometheus.AlreadyRegisteredError
	require.ErrorAs(t, metrics.Registry.Register(like), &registered, name)
	values := make([]string, len(one.labels))
	switch collector := registered.ExistingCollector.(type) {
	case *prometheus.CounterVec:
		collector.WithLabelValues(values...)
	case *prometheus.GaugeVec:
		collector.WithLabelValues(values...)
	case *prometheus.HistogramVec:
		collector.WithLabelValues(values...)
	}
}
