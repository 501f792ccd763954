package straggler

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/given"
)

func TestTheExpectedSpeedupIsThatOfArithmetic(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 1, expected(1), 1e-9)
	require.InDelta(t, 2.09, expected(5), 0.005)
	require.InDelta(t, 4.67, expected(20), 0.005)
}

func TestExactlyTheShareIsSlowAndTheSameInTheSameRound(t *testing.T) {
	t.Parallel()
	family := given.CdPipelines(400, "web")
	first, again, other := &hold{}, &hold{}, &hold{}
	first.pick(family, 1)
	again.pick(family, 1)
	other.pick(family, 2)
	require.Len(t, first.slow, 20)
	require.Equal(t, first.slow, again.slow)
	require.NotEqual(t, first.slow, other.slow)
}

func TestCreatesAreHeldByWhoseWorkflowTheyMake(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		family := given.CdPipelines(20, "web")
		slow := &hold{unit: unit}
		slow.pick(family, 0)
		took := map[time.Duration]int{}
		began := time.Now()
		client := slow.wrap(product.RoundTripper(func(*http.Request) (*http.Response, error) {
			took[time.Since(began)]++
			return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
		}))
		for _, trigger := range workload.New("b1", "bench", family, 20).List() {
			workflow, err := trigger.Workflow()
			require.NoError(t, err)
			body, err := json.Marshal(workflow)
			require.NoError(t, err)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://api", bytes.NewReader(body))
			require.NoError(t, err)
			began = time.Now()
			_, err = client.RoundTrip(request)
			require.NoError(t, err)
		}
		require.Equal(t, map[time.Duration]int{unit: 19, slowness * unit: 1}, took)
	})
}
