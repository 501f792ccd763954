package stream

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAQuietStreamOverHTTP2OutlivesTheTimeoutOfAWrite(t *testing.T) {
	t.Parallel()
	config := config(&table{})
	config.WriteTimeout, config.Heartbeat = 100*time.Millisecond, time.Second
	_, plain := started(t, config, Watch{Filter: everything})
	server := httptest.NewUnstartedServer(plain.Config.Handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	response, err := server.Client().Get(server.URL + "?user=a")
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(t, 2, response.ProtoMajor)
	require.Equal(t, http.StatusOK, response.StatusCode)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "heartbeat") {
			return
		}
	}
	require.Fail(t, "the stream ended before its first heartbeat", "%v", lines.Err())
}
