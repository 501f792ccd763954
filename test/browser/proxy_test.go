package browser

import (
	"bufio"
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// behindNginx is the stage with a server of its own behind nginx, as docs/dashboard.md tells.
func (s *stage) behindNginx(t *testing.T) *stage {
	t.Helper()
	options := serverOptions("behind-nginx")
	options.Env = append(options.Env, "DASHBOARD_BASE_PATH=/penstock")
	server, err := local.StartServer(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	nginx, err := local.NewNginx()
	require.NoError(t, err)
	require.NoError(t, nginx.Start(t.Context(), nginxLocation(t, server.URL)))
	t.Cleanup(func() { require.NoError(t, nginx.Stop()) })
	moved := *s
	moved.server = &env.Server{URL: nginx.URL + "/penstock"}
	return &moved
}

// nginxLocation is what docs/dashboard.md shows, with another address of the server.
func nginxLocation(t *testing.T, server string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dashboard.md"))
	require.NoError(t, err)
	shown := regexp.MustCompile("(?s)```nginx\n(.+?)```").FindAllStringSubmatch(string(page), -1)
	require.Len(t, shown, 1)
	const upstream = "https://penstock-server.penstock-system.svc"
	require.Contains(t, shown[0][1], upstream)
	return strings.ReplaceAll(shown[0][1], upstream, server)
}

func TestTheDashboardWorksBehindNginxWithItsDefaults(t *testing.T) {
	s := theStage(t).behindNginx(t)
	b := s.open(t).visit("/builds/shop")
	require.Equal(t, "/penstock/sign-in?next=%2Fbuilds%2Fshop", b.path())
	b.fill("#token", s.reader).sees("shop-1")
	require.Equal(t, "/penstock/builds/shop", b.path(), "the form leads back under the path")
	require.NotZero(t, eval[int](b, "document.styleSheets[0].cssRules.length"), "styles are served")
	b.visit("/").click("Queue").sees("in flight")
	require.Equal(t, "/penstock/queue", b.path())
	b.quiet()

	require.NoError(t, s.cluster.Create(t.Context(), ofShop(given.CiPipeline("proxied-ci"), "proxied")))
	pipeline := given.CdPipeline("proxied-dev", given.BelowCi("proxied-ci"), given.Runs("quick"))
	pipeline.Spec.Application = "proxied"
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(pipeline, "proxied")))
	require.NoError(t, s.cluster.Create(t.Context(), ofShop(given.CiBuild("proxied-1", given.BuildOf("proxied-ci")), "proxied")))
	page := func() string { b.visit("/builds/shop/proxied-1"); return b.text() }
	require.Eventually(t, func() bool { return !contains(page(), "There is nothing here") }, patience, 200*time.Millisecond)
	b.sees("Nothing is decided yet").sees("Live")
	eval[string](b, `window.kept = "this page"`)
	require.NoError(t, s.succeed(t.Context(), shopNamespace, "proxied-1"))
	b.sees("the parent succeeded")
	require.Equal(t, "this page", eval[string](b, "window.kept"), "the page was not loaded again")
	b.click("Sign out").sees("Sign in")
	require.Equal(t, "/penstock/sign-in", b.path())
}

func TestAQuietStreamOutlivesTheTimeoutOfNginx(t *testing.T) {
	const proxyReadTimeout = time.Minute
	s := theStage(t).behindNginx(t)
	ctx, cancel := context.WithTimeout(t.Context(), proxyReadTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/live/namespaces/nowhere/applications/none/status", nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+s.reader)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := transport.RoundTrip(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusOK, response.StatusCode)
	lines, beats := bufio.NewScanner(response.Body), 0
	for beats < 2 && lines.Scan() {
		if strings.HasPrefix(lines.Text(), ":") {
			beats++
		}
	}
	require.Equal(t, 2, beats, "nginx passes on what a quiet stream says, each time well before it would give up: %v", lines.Err())
}
