package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// probeTimeout bounds reading a probe's request and writing its answer.
	probeTimeout = 10 * time.Second
	// unreadyInterval is how often the log repeats why the controller is not ready.
	unreadyInterval = time.Minute
)

// unknownClass is that of an error that no store.ProblemClass fits.
const unknownClass = "Unknown"

// check is one condition of being ready.
type check struct {
	name string
	// run returns an error whose text holds no secret, or nil.
	run func(context.Context) error
}

// probes serves /healthz, whether the process answers, and /readyz, whether it can work.
// An answer names each check, and of one that fails the class and the reason.
type probes struct {
	checks []check
	log    logr.Logger

	mu   sync.Mutex
	said string
	at   time.Time
}

// serveProbes serves until the returned function is called. The address "0" is nowhere.
func serveProbes(ctx context.Context, address string, p *probes) (stop func(), err error) {
	if address == "0" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on HEALTH_PROBE_BIND_ADDRESS: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("/readyz", p.ready)
	server := &http.Server{Handler: mux, ReadTimeout: probeTimeout, WriteTimeout: probeTimeout}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error(err, "probes are not served any more")
		}
	}()
	return func() {
		_ = server.Close() // of connections of probes, which nobody misses
		<-ended
	}, nil
}

func (p *probes) ready(w http.ResponseWriter, request *http.Request) {
	var answer strings.Builder
	status := http.StatusOK
	for _, one := range p.checks {
		err := one.run(request.Context())
		if err == nil {
			fmt.Fprintf(&answer, "[+]%s ok\n", one.name)
			continue
		}
		status = http.StatusInternalServerError
		fmt.Fprintf(&answer, "[-]%s failed: %v\n", one.name, err)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(answer.String()))
	p.tell(status == http.StatusOK, answer.String())
}

// tell logs when the answer changes, and once a minute while it is not ready.
func (p *probes) tell(ready bool, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answer == p.said && (ready || time.Since(p.at) < unreadyInterval) {
		return
	}
	first := p.said == ""
	p.said, p.at = answer, time.Now()
	switch {
	case !ready:
		p.log.Info("not ready", "checks", strings.Split(strings.TrimSpace(answer), "\n"))
	case !first:
		p.log.Info("ready")
	}
}

// databaseReady says what keeps the database from use: its class and a sentence.
func databaseReady(database *store.Store, log logr.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		err := database.Ping(ctx)
		if err == nil {
			return nil
		}
		if problem := store.ProblemOf(err); problem != nil {
			return fmt.Errorf("%s: %s", problem.Class, problem.Sentence)
		}
		log.Info("the database answers with an error", "error", err.Error())
		return fmt.Errorf("%s: the database answers with an error, which is in the log", unknownClass)
	}
}
