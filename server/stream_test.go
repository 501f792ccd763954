package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

// reading is one stream that a test reads.
type reading struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
	id     string
}

func (s *scene) watch(t *testing.T, token, path string, headers ...string) *reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.address+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(request)
	require.NoError(t, err)
	t.Cleanup(func() { cancel(); _ = response.Body.Close() })
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	return &reading{t: t, lines: bufio.NewScanner(response.Body), cancel: cancel}
}

// next returns the kind and data of the next message; heartbeats are passed over. An end
// of the stream is an empty kind.
func (r *reading) next() (kind, data string) {
	r.t.Helper()
	for r.lines.Scan() {
		line := r.lines.Text()
		switch {
		case strings.HasPrefix(line, "id: "):
			r.id = line[4:]
		case strings.HasPrefix(line, "event: "):
			kind = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && data != "":
			return kind, data
		}
	}
	return "", ""
}

// begun waits for the first line, from which on nothing is missed.
func (r *reading) begun() *reading {
	r.t.Helper()
	for r.id == "" && r.lines.Scan() {
		if line := r.lines.Text(); strings.HasPrefix(line, "id: ") {
			r.id = line[4:]
		}
	}
	require.NotEmpty(r.t, r.id)
	return r
}

func (r *reading) event() rest.Event {
	r.t.Helper()
	kind, data := r.next()
	require.Equal(r.t, "event", kind, data)
	var event rest.Event
	require.NoError(r.t, json.Unmarshal([]byte(data), &event))
	return event
}

// settled is the newest page of a namespace's history once all that was written is in it:
// a transaction that is under way anywhere on the database server holds events back.
func (s *scene) settled(t *testing.T, token, namespace string) (list rest.EventList) {
	t.Helper()
	var written int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM event WHERE namespace = $1", namespace).Scan(&written))
	require.Eventually(t, func() bool {
		list = rest.EventList{}
		s.get(t, token, "/api/v1/events?namespace="+namespace).into(t, &list)
		return len(list.Items) == written
	}, patience, 100*time.Millisecond)
	return list
}

func TestAStreamHasWhatHappensAndGoesOnWhereItWasBroken(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	other := local.NewNamespace(t)
	list := s.settled(t, token, namespace)
	stream := s.watch(t, token, "/api/v1/events?watch=true").begun()
	web := s.watch(t, token, base+"/pipelines/web/runs?watch=true").begun()
	status := s.watch(t, token, base+"/applications/shop/status?watch=true").begun()

	s.plan(t, other, "b1", family(other, "web"))
	s.plan(t, namespace, "b2", family(namespace, "web"))
	first := stream.event()
	for first.Build == "b1" { // the server may have followed the table a moment later
		first = stream.event()
	}
	require.Equal(t, namespace+" b2", first.Namespace+" "+first.Build, "others' events are not in it")
	require.Equal(t, "web", web.event().Pipeline)
	changed := status.event()
	for changed.Build == "b1" {
		changed = status.event()
	}
	require.Equal(t, "b2 web", changed.Build+" "+changed.Pipeline)
	at := stream.id
	stream.cancel()

	s.plan(t, namespace, "b3", family(namespace, "api"))
	resumed := s.watch(t, token, "/api/v1/events?watch=true", "Last-Event-ID", at)
	fromList := s.watch(t, token, "/api/v1/events?watch=true&cursor="+list.Watch)
	var seen, seenFromList []int64
	for event := resumed.event(); ; event = resumed.event() {
		seen = append(seen, event.ID)
		if event.Build == "b3" && event.Kind == "Decision" {
			break
		}
	}
	for event := fromList.event(); ; event = fromList.event() {
		seenFromList = append(seenFromList, event.ID)
		if event.Build == "b3" && event.Kind == "Decision" {
			break
		}
	}
	require.Equal(t, append([]int64{first.ID}, seen...), seenFromList, "nothing is missed, and nothing is sent twice")
}

// The stacks of a thousand open streams would hold what each handler on the way had to say.
func TestAnOpenStreamKeepsNoHandlerThatHasBegunIt(t *testing.T) {
	s, _, _, token := shop(t)
	s.watch(t, token, "/api/v1/events?watch=true").begun()
	stacks := make([]byte, 4<<20)
	all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
	open := slices.DeleteFunc(all, func(stack string) bool { return !strings.Contains(stack, "stream.(*session).listen") })
	require.NotEmpty(t, open)
	for _, stack := range open {
		require.NotContains(t, stack, "huma")
		require.NotContains(t, stack, "ServeMux")
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	stream := s.watch(t, token, "/api/v1/events?watch=true").begun()
	began := time.Now()
	go s.stop()
	kind, data := stream.next()
	require.Equal(t, "problem", kind)
	require.Contains(t, data, "the server stops: connect again")
	kind, _ = stream.next()
	require.Empty(t, kind)
	s.stop()
	require.Less(t, time.Since(began), 5*time.Second)
}
