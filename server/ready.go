package server

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock-cd/penstock/pkg/store"
)

// readiness tells whether requests can be answered. It begins with no: the schema must
// have been seen, and the namespaces in which rights are looked for. From then on a database
// that does not answer is told to callers, by 503, and not to Kubernetes: all replicas would
// go at once, and callers would learn nothing. One that answers with another schema ends
// readiness.
type readiness struct {
	looks   []func(context.Context) error
	problem atomic.Pointer[string]
	stopped atomic.Bool
}

// newReadiness takes what has to succeed, in this order.
func newReadiness(looks ...func(context.Context) error) *readiness {
	r := &readiness{looks: looks}
	r.set("the database's schema was not looked at yet")
	return r
}

func (r *readiness) set(problem string) { r.problem.Store(&problem) }

// stop ends readiness, whatever the database answers.
func (r *readiness) stop() { r.stopped.Store(true) }

// why returns why the server is not ready; empty where it is.
func (r *readiness) why() string {
	if r.stopped.Load() {
		return "the server stops"
	}
	return *r.problem.Load()
}

// look looks at the database once.
func (r *readiness) look(ctx context.Context) (time.Duration, error) {
	err := r.lookAtAll(ctx)
	var answered *pgconn.PgError
	switch {
	case err == nil:
		r.set("")
	case r.why() != "" || errors.Is(err, store.ErrNewerSchema) || errors.Is(err, store.ErrOlderSchema):
		r.set(err.Error())
	case errors.As(err, &answered) && answered.Code == undefinedTable:
		r.set("the database has no tables of Penstock: the controller makes them")
	}
	return 0, err
}

func (r *readiness) lookAtAll(ctx context.Context) error {
	for _, look := range r.looks {
		if err := look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// undefinedTable is the SQLSTATE of a table that does not exist.
const undefinedTable = "42P01"

func (r *readiness) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if why := r.why(); why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready: " + why + "\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func alive(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }
