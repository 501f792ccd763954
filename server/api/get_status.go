package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

const (
	// halfTimeout bounds each half of the trigger view.
	halfTimeout = 2 * time.Second
	// halfLimit is how many pipelines a half has.
	halfLimit = 500
)

// GetStatusInput selects an application.
type GetStatusInput struct {
	InNamespace
	Watching

	Application string `path:"application" maxLength:"253" doc:"Name of the application."`
	Cursor      string `query:"cursor" maxLength:"1024" doc:"With ?watch=true: where the stream begins."`

	pipelines []string // sorted; of a stream alone
}

func (in *GetStatusInput) allow(ctx context.Context, gate gate) error {
	needs := []rights.Need{
		{Verb: "list", Resource: "cibuilds", Namespace: in.Namespace}, {Verb: "list", Resource: "runs", Namespace: in.Namespace},
		{Verb: "list", Resource: "decisions", Namespace: in.Namespace},
	}
	if in.Watch {
		needs = append(needs, rights.Need{Verb: "watch", Resource: "events", Namespace: in.Namespace})
	}
	return gate.require(ctx, needs...)
}

func (in *GetStatusInput) start() (*view.Position, error) { return in.after(in.Cursor) }

func (in *GetStatusInput) prepare(ctx context.Context, rows *view.View) (err error) {
	in.pipelines, err = rows.CdPipelineNames(ctx, in.Namespace, in.Application)
	return err
}

func (in *GetStatusInput) sees() stream.Filter {
	pipelines := in.pipelines
	return func(event view.Event) bool {
		_, is := slices.BinarySearch(pipelines, event.Pipeline)
		return event.Namespace == in.Namespace && is
	}
}

// halves reads the two sides of an application.
type halves interface {
	CiHalf(ctx context.Context, namespace, application string, limit int) ([]rest.CiPipelineStatus, error)
	CdHalf(ctx context.Context, namespace, application string, limit int) ([]rest.CdPipelineStatus, error)
}

func getStatus(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-application-status", path: "/api/v1/namespaces/{namespace}/applications/{application}/status", summary: "Get the trigger view of an application",
		description: "CI and CD status side by side. The halves are read in parallel, each with a timeout of 2 s: one that fails is an `error` in its own field, " +
			"and the answer is 200 as long as one half is there. Needs `list` on `cibuilds`, `runs` and `decisions`, and `watch` on `events` for a stream.",
	}, func(ctx context.Context, b *Backend, in *GetStatusInput) (*rest.ApplicationStatus, error) {
		return b.status(ctx, b.View, in)
	})
}

// status reads both halves at once. It fails where both have failed, or nothing is there.
func (b *Backend) status(ctx context.Context, rows halves, in *GetStatusInput) (*rest.ApplicationStatus, error) {
	var ci []rest.CiPipelineStatus
	var cd []rest.CdPipelineStatus
	var ciErr, cdErr error
	var group sync.WaitGroup
	group.Go(func() {
		ci, ciErr = half(ctx, func(ctx context.Context) ([]rest.CiPipelineStatus, error) {
			return rows.CiHalf(ctx, in.Namespace, in.Application, halfLimit+1)
		})
	})
	group.Go(func() {
		cd, cdErr = half(ctx, func(ctx context.Context) ([]rest.CdPipelineStatus, error) {
			return rows.CdHalf(ctx, in.Namespace, in.Application, halfLimit+1)
		})
	})
	group.Wait()
	if ciErr != nil && cdErr != nil {
		return nil, errors.Join(ciErr, cdErr)
	}
	if ciErr == nil && cdErr == nil && len(ci)+len(cd) == 0 {
		return nil, problem.New(http.StatusNotFound, "namespace "+in.Namespace+" has no CiPipeline and no CdPipeline of application "+in.Application)
	}
	status := &rest.ApplicationStatus{Namespace: in.Namespace, Application: in.Application}
	status.CI.Pipelines, status.CI.Truncated = firstOf(ci, halfLimit)
	status.CD.Pipelines, status.CD.Truncated = firstOf(cd, halfLimit)
	status.CI.Error, status.CD.Error = b.failedHalf(ctx, ciErr), b.failedHalf(ctx, cdErr)
	return status, nil
}

// half runs one half within its timeout. It answers then even where the half goes on.
func half[T any](ctx context.Context, read func(context.Context) ([]T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, halfTimeout)
	defer cancel()
	type result struct {
		items []T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		var got result
		if err := bounded.Protect(func() (err error) { got.items, err = read(ctx); return err }); err != nil {
			got = result{err: err}
		}
		done <- got
	}()
	select {
	case got := <-done:
		return got.items, got.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func firstOf[T any](items []T, limit int) (first []T, truncated bool) {
	if len(items) > limit {
		return items[:limit], true
	}
	return append([]T{}, items...), false
}

// failedHalf says why a half is missing; nil where it is there.
func (b *Backend) failedHalf(ctx context.Context, err error) *rest.Failure {
	if err == nil {
		return nil
	}
	user, _ := identity.From(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return &rest.Failure{Status: http.StatusGatewayTimeout, Detail: "Postgres did not answer within " + halfTimeout.String() + ": try again later"}
	}
	failed := b.failure(ctx, user, err)
	return &rest.Failure{Status: problem.Status(failed), Detail: problem.Detail(failed)}
}
