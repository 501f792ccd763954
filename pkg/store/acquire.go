package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// acquireTimer tells how long each call waited for a connection.
type acquireTimer struct{ told func(time.Duration) }

var _ pgxpool.AcquireTracer = acquireTimer{}

// acquireBegan is the context's key of when a call began to wait.
type acquireBegan struct{}

// TraceAcquireStart notes when the wait began.
func (acquireTimer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	return context.WithValue(ctx, acquireBegan{}, time.Now())
}

// TraceAcquireEnd tells how long it took, also where no connection came of it.
func (t acquireTimer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireEndData) {
	if began, ok := ctx.Value(acquireBegan{}).(time.Time); ok {
		t.told(time.Since(began))
	}
}

// TraceQueryStart does nothing: pgx takes a tracer of acquisitions only as part of
// one of queries.
func (acquireTimer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd does nothing.
func (acquireTimer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
