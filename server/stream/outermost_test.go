package stream

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsHandedOverRunsAfterTheHandlersInsideHaveReturned(t *testing.T) {
	t.Parallel()
	var did []string
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		handOver(r.Context(), func() {
			require.NoError(t, r.Context().Err())
			did = append(did, "stream")
		})
		did = append(did, "handler")
	})
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	Outermost(handler).ServeHTTP(httptest.NewRecorder(), request)
	handler.ServeHTTP(httptest.NewRecorder(), request)
	require.Equal(t, []string{"handler", "stream", "stream", "handler"}, did, "the second request has no Outermost")
}
