package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/tune"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAFrameOfTop(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	ago := func(d time.Duration) *time.Time { return new(now.Add(-d)) }
	crowded := rest.QueueSummary{
		At: now, Lanes: []rest.Lane{
			{Kind: "cd", Held: 3, Pending: 40, Submitting: 5, Active: 31, Oldest: ago(12 * time.Second), PerSecond: 9.8, WaitHalf: 1.234, WaitMost: 3.5},
			{Kind: "ci", Active: 1},
		},
		Held: []rest.HeldReason{{Reason: "Turn", Tasks: 2}, {Reason: "Window", Tasks: 1}},
		Oldest: []rest.Task{
			{Namespace: "shop", Pipeline: "web", Stage: "DEPLOY", Build: "b1", QueuedAt: *ago(12 * time.Second), Reason: "QuotaExceeded", Message: "exceeded quota: small", NotBefore: new(now.Add(20 * time.Second))},
			{Namespace: "shop", Pipeline: "api", QueuedAt: *ago(3 * time.Second)},
		},
		Active: []rest.ActiveHolder{{Namespace: "shop", WorkflowName: "web-x", Since: *ago(2 * time.Hour)}},
		Failed: rest.Failures{Count: 2, WindowSeconds: 600, Items: []rest.FailedTask{{At: *ago(time.Minute), Namespace: "shop", Pipeline: "api", Stage: "POST", State: "Failed", Message: "exit code 1"}}},
	}
	known := map[string]tune.LaneLimit{"cd": {Limit: 5, GateClosed: true}, "ci": {Limit: 5}}
	tests := map[string]struct {
		summary rest.QueueSummary
		limits  map[string]tune.LaneLimit
		want    []topLine
	}{
		"a crowded queue behind a closed gate": {crowded, known, []topLine{
			{"time", "03:04:05", calm},
			{"cd", "5 in flight of 5, 40 waiting (the oldest for 12s), 3 held, 31 active; 9.80/s, 1.23s in the queue, 99 of 100 within 3.5s", busy},
			{"ci", "0 in flight of 5, 0 waiting, 0 held, 1 active", calm},
			{"gate", "closed for cd; the oldest Workflows are shop/web-x (for 120m)", wrong},
			{"held", "Turn 2, Window 1", calm},
			{"oldest", "shop/web DEPLOY of b1 for 12s: QuotaExceeded: exceeded quota: small, tried again in 20s", calm},
			{"", "shop/api for 3s: for a slot", calm},
			{"failed", "2 in 10m", wrong},
			{"", "shop/api POST Failed 60s ago: exit code 1", calm},
		}},
		"nothing, and nothing is known of the limits": {rest.QueueSummary{At: now, Failed: rest.Failures{WindowSeconds: 600}}, nil, []topLine{
			{"time", "03:04:05", calm},
			{"lanes", "nothing waits, is held or is active", calm},
			{"gate", "limits and the backlog gate are not known: no right", calm},
			{"failed", "none in 10m", calm},
		}},
		"a lane that is shut": {rest.QueueSummary{
			At: now, Lanes: []rest.Lane{{Kind: "cd", Cluster: "eu", Pending: 1, Shut: "nothing is triggered in TargetCluster eu since noon: Timeout: no answer in 4s"}},
			Oldest: []rest.Task{{Namespace: "shop", Pipeline: "api", Cluster: "eu", QueuedAt: *ago(3 * time.Second)}}, Failed: rest.Failures{WindowSeconds: 600},
		}, known, []topLine{
			{"time", "03:04:05", calm},
			{"cd/eu", "0 in flight, 1 waiting, 0 held, 0 active; nothing is triggered in TargetCluster eu since noon: Timeout: no answer in 4s", wrong},
			{"gate", "open", calm},
			{"oldest", "shop/api in cluster eu for 3s: for its cluster", calm},
			{"failed", "none in 10m", calm},
		}},
		"an open gate": {rest.QueueSummary{At: now, Lanes: []rest.Lane{{Kind: "cd", Cluster: "eu"}}, Failed: rest.Failures{WindowSeconds: 600}}, known, []topLine{
			{"time", "03:04:05", calm},
			{"cd/eu", "0 in flight, 0 waiting, 0 held, 0 active", calm},
			{"gate", "open", calm},
			{"failed", "none in 10m", calm},
		}},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, frameOf(test.summary, test.limits, "no right", now))
		})
	}
}

func TestTopPrintsLinesWhereThereIsNoTerminal(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	code, out, errOut := p.run(t, "top", "--once", "-n", given.Namespace, "--metrics", exposition(t))
	require.Zero(t, code, errOut)
	require.Regexp(t, `(?m)^cd        0 in flight of 5, 2 waiting \(the oldest for \S+\), 0 held, 0 active$`, out)
	require.Regexp(t, `(?m)^gate      open$`, out)
	require.Regexp(t, `(?m)^oldest    default/web-000 DEPLOY of shop-1 for \S+: for a slot$`, out)
	code, out, errOut = p.run(t, "top", "--once", "-n", given.Namespace)
	require.Zero(t, code, errOut)
	require.Contains(t, out, "limits and the backlog gate are not known: list the pods of the controller")
	code, out, errOut = p.run(t, "top", "-o", "json")
	require.Zero(t, code, errOut)
	var answer struct {
		Summary rest.QueueSummary `json:"summary"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Equal(t, int64(2), answer.Summary.Lanes[0].Pending)
}

func TestTopGoesOnUntilItIsInterrupted(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &until{text: "time ", times: 2, reached: interrupt}
	code := run(ctx, []string{"top", "--interval", "1s", "-n", given.Namespace, "--kubeconfig", p.kubeconfig}, out, &strings.Builder{})
	require.Zero(t, code)
	require.GreaterOrEqual(t, out.seen, 2, "frames")
}

// until calls reached once a text was written so many times.
type until struct {
	text        string
	times, seen int
	reached     func()
}

// Write implements io.Writer.
func (u *until) Write(written []byte) (int, error) {
	if u.seen += strings.Count(string(written), u.text); u.seen >= u.times {
		u.reached()
	}
	return len(written), nil
}

func TestTopTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	reader, nobody := person(t, true), person(t, false)
	for sentence, test := range map[string]struct {
		by   plugin
		args []string
		code int
		says string
	}{
		"a right that is missing": {nobody, []string{"-n", given.Namespace}, exitRefused, "may not list queue.penstock.dev in namespace default"},
		"too often":               {reader, []string{"--interval", "100ms"}, exitUsage, "must be at least 1s"},
		"no server":               {reader, []string{"--server", "https://127.0.0.1:1"}, exitFailed, "connection refused"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := test.by.run(t, append([]string{"top"}, test.args...)...)
			require.Equal(t, test.code, code, errOut)
			require.Empty(t, out)
			require.Contains(t, errOut, test.says)
		})
	}
}

func TestTheScreenOfTop(t *testing.T) {
	t.Parallel()
	s := &screen{watched: &watched{every: time.Second}}
	require.Contains(t, s.View().Content, "asking penstock server")
	_, next := s.Update(seenMsg{frame: []topLine{{"cd", "5 in flight\x1b[2J of 5", busy}}})
	require.NotNil(t, next, "the next look is due after a while")
	require.Contains(t, s.View().Content, "5 in flight [2J of 5", "what others write does not steer the terminal")
	_, _ = s.Update(tea.WindowSizeMsg{Width: 16})
	require.Contains(t, s.View().Content, "5 in …")
	_, _ = s.Update(seenMsg{err: context.DeadlineExceeded})
	require.Contains(t, s.View().Content, "deadline exceeded", "the last frame stays, with the error below")
	require.Contains(t, s.View().Content, "5 in …")
	_, end := s.Update(tea.KeyPressMsg{Code: 'q', Text: "q"})
	require.Equal(t, tea.Quit(), end())
	_, none := s.Update(tea.KeyPressMsg{Code: 'x', Text: "x"})
	require.Nil(t, none)
}

func TestTheIntervalOfTopHasJitter(t *testing.T) {
	t.Parallel()
	w := &watched{every: 10 * time.Second}
	seen := map[time.Duration]bool{}
	for range 100 {
		next := w.interval()
		require.InDelta(t, 10, next.Seconds(), 1.001)
		seen[next] = true
	}
	require.Greater(t, len(seen), 50)
}
