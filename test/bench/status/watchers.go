package status

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/penstock-cd/penstock/test/bench/callers"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/measure"
)

// settle is how long a process is left alone before its memory is read.
const settle = 5 * time.Second

// measureWatchers opens streams, each on a connection of its own, and then commits events.
func measureWatchers(ctx context.Context, at *stage.Stage, parts *env.Environment, pool *pgxpool.Pool, result *Result) (err error) {
	server, err := parts.StartServer(ctx, env.ServerOptions{Name: "watchers"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	asking, err := callers.New(ctx, parts, server, readerRole, users)
	if err != nil {
		return err
	}
	defer asking.Close()
	if result.BytesIdle, err = resident(ctx, server.PID()); err != nil {
		return err
	}
	result.Watchers = at.Size(1000, 50)
	open, err := watch(ctx, asking, result.Watchers)
	defer open.close()
	if err != nil {
		return err
	}
	at.Say("%d clients watch", result.Watchers)
	var behind time.Duration
	for i := range at.Size(20, 3) {
		took, err := open.follow(ctx, pool, fmt.Sprintf("mark-%d", i))
		if err != nil {
			return err
		}
		behind = max(behind, took)
	}
	result.BehindSeconds = behind.Seconds()
	with, err := resident(ctx, server.PID())
	result.BytesAboveIdle = with - result.BytesIdle
	return err
}

func resident(ctx context.Context, pid int) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(settle):
	}
	memory, err := measure.MemoryOf(pid)
	return memory.Resident, err
}

// watchers are streams that are open.
type watchers struct {
	responses []*http.Response
	lines     []*bufio.Scanner
}

//nolint:bodyclose // watchers.close closes them
func watch(ctx context.Context, asking *callers.Callers, count int) (*watchers, error) {
	open := &watchers{}
	// A stream of HTTP/1.1 has a connection of its own, as that of a browser's tab.
	for i := range count {
		response, err := asking.Request(ctx, i, "/api/v1/events?watch=true&kind=Run")
		if err != nil {
			return open, err
		}
		open.responses = append(open.responses, response)
		open.lines = append(open.lines, bufio.NewScanner(response.Body))
		select {
		case <-ctx.Done():
			return open, ctx.Err()
		case <-time.After(5 * time.Millisecond): // below the rate of all users together
		}
	}
	return open, nil
}

func (w *watchers) close() {
	for _, response := range w.responses {
		_ = response.Body.Close()
	}
}

// follow commits an event, and returns after how long every watcher has it.
func (w *watchers) follow(ctx context.Context, pool *pgxpool.Pool, mark string) (time.Duration, error) {
	began := time.Now()
	if _, err := pool.Exec(ctx, "INSERT INTO event (kind, namespace, state, reason) VALUES ('Run', $1, 'Succeeded', $2)", namespace, mark); err != nil {
		return 0, err
	}
	missing := make([]bool, len(w.lines))
	var group sync.WaitGroup
	for i, lines := range w.lines {
		group.Go(func() {
			missing[i] = true
			for lines.Scan() {
				if strings.Contains(lines.Text(), `"`+mark+`"`) {
					missing[i] = false
					return
				}
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	for i := range missing {
		if missing[i] {
			return 0, fmt.Errorf("watcher %d has ended without the event %s", i, mark)
		}
	}
	return took, nil
}
