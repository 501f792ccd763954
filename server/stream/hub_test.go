package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
)

const patience = 10 * time.Second

// table is an event table in memory.
type table struct {
	mu     sync.Mutex
	events []view.Event
	reads  int
	down   bool
}

func (s *table) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		id := int64(len(s.events) + 1)
		s.events = append(s.events, view.Event{Event: rest.Event{ID: id, Namespace: "default"}, Position: view.Position{XID: uint64(10 + id/3), ID: id}})
	}
}

func (s *table) Horizon(context.Context) (view.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.events) == 0 {
		return view.Position{XID: 1}, nil
	}
	return s.events[len(s.events)-1].Position, nil
}

func (s *table) EventsAfter(_ context.Context, after view.Position, limit int) (page []view.Event, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.down {
		return nil, errors.New("away")
	}
	for _, event := range s.events {
		if before(after, event.Position) && len(page) < limit {
			page = append(page, event)
		}
	}
	return page, nil
}

// config of a hub that is fast and small.
func config(source Source) Config {
	return Config{
		Source: source, Interval: time.Millisecond, Batch: 10, Buffer: 2, CatchUps: 1, Heartbeat: 50 * time.Millisecond, Recheck: time.Hour,
		WriteTimeout: time.Second, Max: 3, MaxPerUser: 2, OnStream: func(int) {}, Log: logr.Discard(),
		Cursor: func(p view.Position) string { return fmt.Sprintf("%d-%d", p.XID, p.ID) },
	}
}

func everything(context.Context) (Filter, error) {
	return func(view.Event) bool { return true }, nil
}

// started is a hub that follows, and a server before it.
func started(t *testing.T, config Config, watch Watch) (*Hub, *httptest.Server) {
	t.Helper()
	hub := New(config)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- hub.Start(ctx) }()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := watch
		asked.User = r.URL.Query().Get("user")
		leave, err := hub.Enter(asked)
		if err != nil {
			problem.Write(w, problem.New(http.StatusTooManyRequests, err.Error()))
			return
		}
		hub.Serve(w, r, asked, leave)
	}))
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
		server.Client().CloseIdleConnections()
		server.Close()
	})
	require.Eventually(t, func() bool { hub.mu.Lock(); defer hub.mu.Unlock(); return hub.position != nil }, patience, time.Millisecond)
	return hub, server
}

func open(t *testing.T, server *httptest.Server, user string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?user="+user, nil)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { _ = response.Body.Close() })
	return response, bufio.NewScanner(response.Body)
}

// ids reads the ids of n events.
func ids(t *testing.T, lines *bufio.Scanner, n int) []int {
	t.Helper()
	var got []int
	for len(got) < n && lines.Scan() {
		var id int
		if _, err := fmt.Sscanf(lines.Text(), `data: {"id":%d,`, &id); err == nil {
			got = append(got, id)
		}
	}
	return got
}

func numbers(from, to int) (all []int) {
	for i := from; i <= to; i++ {
		all = append(all, i)
	}
	return all
}

func TestEveryClientSeesEveryEventOnceAndInOrder(t *testing.T) {
	t.Parallel()
	source := &table{}
	source.add(25)
	_, server := started(t, config(source), Watch{After: &view.Position{}, Filter: everything})
	_, one := open(t, server, "ada")
	_, two := open(t, server, "ada")
	require.Equal(t, numbers(1, 25), ids(t, one, 25), "from the table")
	source.add(5)
	require.Equal(t, numbers(26, 30), ids(t, one, 5), "as they happen")
	require.Equal(t, numbers(1, 30), ids(t, two, 30))
}

func TestAClientThatIsSlowReadsWhatItMissedFromTheTable(t *testing.T) {
	t.Parallel()
	source := &table{}
	blocked := make(chan struct{})
	first := sync.OnceFunc(func() { <-blocked })
	hub, server := started(t, config(source), Watch{Filter: func(context.Context) (Filter, error) {
		return func(view.Event) bool { first(); return true }, nil
	}})
	_, lines := open(t, server, "ada")
	for lines.Scan() && lines.Text() != ": events follow" {
	}
	for i := range 20 { // many more batches than there is room for
		source.add(10)
		require.Eventually(t, func() bool { hub.mu.Lock(); defer hub.mu.Unlock(); return hub.position.ID == int64(10*(i+1)) }, patience, time.Millisecond)
	}
	hub.mu.Lock()
	require.Empty(t, hub.clients, "it is not told any more")
	hub.mu.Unlock()
	close(blocked)
	require.Equal(t, numbers(1, 200), ids(t, lines, 200))
	source.add(1)
	require.Equal(t, []int{201}, ids(t, lines, 1), "and goes on")
}

func TestAQuietStreamHasHeartbeatsFromWhichItCanBeResumed(t *testing.T) {
	t.Parallel()
	source := &table{}
	_, server := started(t, config(source), Watch{Filter: func(context.Context) (Filter, error) {
		return func(view.Event) bool { return false }, nil
	}})
	response, lines := open(t, server, "ada")
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	require.Equal(t, "no", response.Header.Get("X-Accel-Buffering"))
	for lines.Scan() && lines.Text() != ": events follow" {
	}
	source.add(3)
	var id string
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "id: ") {
			id = lines.Text()
		}
		if lines.Text() == ": heartbeat" && id == "id: 11-3" {
			return
		}
	}
	t.Fatal("no heartbeat behind the last event: " + id)
}

func TestAStreamEndsWithTheRightsOfItsUser(t *testing.T) {
	t.Parallel()
	source, lost := &table{}, make(chan struct{})
	settings := config(source)
	settings.Recheck = time.Millisecond
	_, server := started(t, settings, Watch{Filter: func(context.Context) (Filter, error) {
		select {
		case <-lost:
			return nil, problem.New(http.StatusForbidden, "you may not watch events")
		default:
			return func(view.Event) bool { return true }, nil
		}
	}})
	_, lines := open(t, server, "ada")
	source.add(1)
	require.Equal(t, []int{1}, ids(t, lines, 1))
	close(lost)
	var all strings.Builder
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
	}
	require.Contains(t, all.String(), "event: problem\ndata: {")
	require.Contains(t, all.String(), `"status":403,"detail":"you may not watch events"`)
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	hub, server := started(t, config(&table{}), Watch{Filter: everything})
	first, _ := open(t, server, "ada")
	open(t, server, "ada")
	refused, lines := open(t, server, "ada")
	require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), ErrTooManyOfUser.Error())
	open(t, server, "bob")
	refused, lines = open(t, server, "eve")
	require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), ErrTooMany.Error())

	require.NoError(t, first.Body.Close())
	require.Eventually(t, func() bool { hub.mu.Lock(); defer hub.mu.Unlock(); return hub.open == 2 && len(hub.clients) == 2 }, patience, time.Millisecond)
	again, _ := open(t, server, "eve")
	require.Equal(t, http.StatusOK, again.StatusCode)
}

func TestADatabaseThatIsAwayForAWhileCostsNoEvent(t *testing.T) {
	t.Parallel()
	source := &table{}
	_, server := started(t, config(source), Watch{Filter: everything})
	_, lines := open(t, server, "ada")
	source.add(1)
	require.Equal(t, []int{1}, ids(t, lines, 1))
	source.mu.Lock()
	source.down = true
	source.mu.Unlock()
	source.add(30)
	source.mu.Lock()
	reads := source.reads
	source.mu.Unlock()
	require.Eventually(t, func() bool { source.mu.Lock(); defer source.mu.Unlock(); return source.reads > reads }, patience, time.Millisecond)
	source.mu.Lock()
	source.down = false
	source.mu.Unlock()
	require.Equal(t, numbers(2, 31), ids(t, lines, 30))
}
