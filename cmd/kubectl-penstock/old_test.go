package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// An older server lacks endpoints, parameters and fields that this plugin knows.
func TestAnOldServerIsToldFromANewPlugin(t *testing.T) {
	t.Parallel()
	p := person(t, false)
	answer := func(status int, body any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/", answer(http.StatusNotFound, map[string]any{"status": 404, "detail": "the path is not served: /openapi.json lists those that are"}))
	mux.Handle("/openapi.json", answer(http.StatusOK, map[string]any{"info": map[string]any{"version": "v0.1.0"}}))
	mux.Handle("/api/v1/queue", answer(http.StatusUnprocessableEntity, map[string]any{
		"status": 422, "detail": "validation failed", "errors": []any{map[string]any{"message": "unexpected parameter", "location": "query.state"}},
	}))
	mux.Handle("/api/v1/namespaces/default/builds", answer(http.StatusOK, map[string]any{"items": []any{map[string]any{"name": "shop-1"}}}))
	mux.Handle("/api/v1/namespaces/default/applications", answer(http.StatusOK, []string{"of another form"}))
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	for sentence, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an endpoint":     {[]string{"clusters"}, exitFailed, "does not know /api/v1/clusters, so it is older than this plugin (dev): upgrade it; kubectl penstock version tells both versions"},
		"a parameter":     {[]string{"queue"}, exitFailed, "query.state: unexpected parameter"},
		"another form":    {[]string{"status"}, exitFailed, "is not as this plugin (dev) expects"},
		"fields":          {[]string{"builds"}, 0, ""},
		"and its version": {[]string{"version"}, 0, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := p.run(t, append(test.args, "-n", "default", "--server", server.URL, "--server-ca", ca)...)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, errOut, test.says)
			if test.args[0] == "version" {
				require.Contains(t, out, "server: v0.1.0")
			}
		})
	}
}
