package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/bench/fixture"
)

// row is that of a pipeline, as the page of its application has it.
func row(pipeline, build, state string) string {
	return fmt.Sprintf(`<main data-live="/live/x"><table><tr data-key="run/%s"><td><span class="state">%s</span></td><td><a href="/builds/dashboard/%s">it</a></td></tr></table></main>`, pipeline, state, build)
}

func TestAPageMustBeUpdatedAndShowTheRun(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		text    string
		updates int
		want    string
	}{
		"the run and its Workflow":                  {row("ci-001", "b-2", "Submitted"), 1, ""},
		"the same on a page that was never updated": {row("ci-001", "b-2", "Submitted"), 0, "was not updated"},
		"the run of a build before":                 {row("ci-001", "b-1", "Submitted"), 1, "shows another build"},
		"the run of a build with a longer name":     {row("ci-001", "b-22", "Submitted"), 1, "shows another build"},
		"the run of another pipeline":               {row("ci-002", "b-2", "Submitted"), 1, "shows another build"},
		"a run that waits":                          {row("ci-001", "b-2", "Pending"), 1, `shows no Workflow: [">" "Pending" "it"]`},
		"nothing":                                   {"", 1, "shows another build"},
	} {
		p := newPage("", address{Application: "app-1", Pipeline: "ci-001"}, http.DefaultClient)
		p.text, p.seen.Updates = test.text, test.updates
		require.Equal(t, test.want, p.lacks("b-2"), sentence)
	}
}

func TestPagesThatDoNotShowTheRunAreNamed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	b := newBrowsers(setup{})
	b.pages = []*page{newPage("", address{Application: "app-7", Pipeline: "ci-007"}, http.DefaultClient)}
	_, err := b.await(ctx, "b-2")
	require.ErrorContains(t, err, `1 pages do not show build b-2, such as ["app-7 was not updated"]`)
}

// site is what a page asks, in miniature: its stream tells what is sent to events, or ends.
type site struct {
	loads, streams atomic.Int64
	refuse         atomic.Bool
	events         chan string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/live/") {
		s.loads.Add(1)
		if s.refuse.Load() {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, row("ci-001", "b-2", "Submitted"))
		return
	}
	s.streams.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, "retry: 2000\nid: 1-1\n: events follow\n\n")
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case text, isOpen := <-s.events:
			if !isOpen {
				return
			}
			_, _ = io.WriteString(w, text)
		}
	}
}

const event = "id: 1-2\nevent: event\ndata: {\"id\":2,\"at\":\"2026-11-27T04:00:00Z\"}\n\n"

// opened is a page of a site that is open.
func opened(t *testing.T, s *site) *page {
	t.Helper()
	server := httptest.NewServer(s)
	p := newPage(server.URL, address{Application: "app-1", Pipeline: "ci-001"}, server.Client())
	require.NoError(t, p.load(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.live(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
		server.Client().CloseIdleConnections()
		server.Close()
	})
	<-p.opened
	return p
}

func (p *page) counted() (all figures) {
	p.add(&all)
	return all
}

func TestAPageIsFetchedOnceForAllThatHappensWithinASecond(t *testing.T) {
	t.Parallel()
	s := &site{events: make(chan string)}
	p := opened(t, s)
	began := time.Now()
	for range 20 {
		s.events <- event
	}
	require.Eventually(t, func() bool { return len(p.counted().Took) == 20 }, 10*time.Second, time.Millisecond)
	if took := time.Since(began); s.loads.Load() > 2 { // the first of it at once, the rest a second later
		require.GreaterOrEqual(t, took, least)
	}
	require.LessOrEqual(t, s.loads.Load(), int64(3))
	require.Empty(t, p.lacks("b-2"))
}

func TestAnEventThatAFetchDidNotShowIsToldByALaterOne(t *testing.T) {
	t.Parallel()
	s := &site{events: make(chan string)}
	p := opened(t, s)
	s.refuse.Store(true)
	s.events <- event
	require.Eventually(t, func() bool { return p.counted().Refused == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "was not updated", p.lacks("b-2"))
	s.refuse.Store(false)
	require.Eventually(t, func() bool { return p.counted().Updates == 1 }, 20*time.Second, time.Millisecond)
}

func TestAStreamThatEndsIsLostAndAskedForAgain(t *testing.T) {
	t.Parallel()
	s := &site{events: make(chan string)}
	p := opened(t, s)
	close(s.events)
	require.Eventually(t, func() bool { return p.counted().Lost > 0 && s.streams.Load() > 1 }, 20*time.Second, time.Millisecond)
}

func TestAStreamIsFollowedUntilItTellsOfAProblem(t *testing.T) {
	t.Parallel()
	p, id := newPage("", address{}, http.DefaultClient), ""
	err := p.read(t.Context(), strings.NewReader("id: 1-1\n: events follow\n\n"+event+"id: 1-9\n: heartbeat\n\nevent: problem\ndata: {}\n\n"), &id)
	require.ErrorIs(t, err, errRefused)
	require.Equal(t, "1-9", id)
	require.Equal(t, time.Date(2026, 11, 27, 4, 0, 0, 0, time.UTC), <-p.changed)
	require.Error(t, errors.Join(p.read(t.Context(), strings.NewReader(""), &id)), "a stream that ends is lost")
}

func TestBuildsWithPagesAreComparedWithTheOthers(t *testing.T) {
	t.Parallel()
	builds := []build{
		{open: true, Triggering: fixture.Triggering{Took: 2500 * time.Millisecond}, cpuShare: 0.5, seen: figures{Updates: 7, Took: []time.Duration{time.Second}, Lost: 1}},
		{Triggering: fixture.Triggering{Took: 2 * time.Second}},
		{open: true, Triggering: fixture.Triggering{Took: 4 * time.Second}, cpuShare: 0.7, seen: figures{Updates: 8, Took: []time.Duration{2 * time.Second}}},
	}
	require.Equal(t, &Result{
		Pages: 110, WithEfficiency: 0.8, WithoutEfficiency: 1, Ratio: 0.8, Updates: 15, UpdateP99: 2000, LostStreams: 1, CPUShare: 0.5,
	}, summarize(builds, 110))
}
