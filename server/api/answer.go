package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/penstock-cd/penstock/pkg/fleet/batchget"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/clusters"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// respond writes JSON with an ETag, or 304 where the caller has it.
func respond(out any) (*huma.StreamResponse, error) {
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	sum := sha256.Sum256(text)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		header := w.Header()
		header.Set("ETag", tag)
		header.Set("Cache-Control", "private, no-cache")
		header.Set("Vary", "Authorization")
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		header.Set("Content-Type", "application/json")
		// A client that is gone needs no answer.
		_, _ = w.Write(append(text, '\n'))
	}}, nil
}

func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == tag || one == "*" {
			return true
		}
	}
	return false
}

// watch answers with a stream. Who asks, and what they may see, is looked at again while
// it is open.
func watch[I any, P interface {
	*I
	input
}](ctx context.Context, b *Backend, user identity.User, in I) (*huma.StreamResponse, error) {
	watching, _ := any(P(&in)).(watcher)
	after, err := watching.start()
	if err != nil {
		return nil, err
	}
	asked := stream.Watch{User: user.Name, After: after}
	leave, err := b.Streams.Enter(asked)
	if err != nil {
		return nil, b.failure(ctx, user, err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		asked.Filter = func(ctx context.Context) (stream.Filter, error) {
			again, err := b.Identify(r)
			if err != nil {
				return nil, b.failure(ctx, user, err)
			}
			in := in
			if err := P(&in).allow(ctx, gate{Backend: b, user: again}); err != nil {
				return nil, b.failure(ctx, again, err)
			}
			if preparing, ok := any(P(&in)).(preparer); ok {
				if err := preparing.prepare(ctx, b.View); err != nil {
					return nil, b.failure(ctx, again, err)
				}
			}
			watching, _ := any(P(&in)).(watcher)
			return watching.sees(), nil
		}
		b.Streams.Serve(w, r, asked, leave)
	}}, nil
}

type requestKey struct{}

// WithRequest returns a request whose context knows it, for the log of refusals.
func WithRequest(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), requestKey{}, r))
}

// refuse writes a refusal of a part of a request to the log.
func (g gate) refuse(ctx context.Context, refused *rights.RefusedError) {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	g.OnRefused(r, g.user, refused)
}

// failure turns an error into what the caller is told.
func (b *Backend) failure(ctx context.Context, user identity.User, err error) error {
	var status huma.StatusError
	var refused *rights.RefusedError
	var unknown *identity.RefusedError
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	switch {
	case errors.As(err, &status):
		return err
	case errors.As(err, &refused):
		b.OnRefused(r, user, err)
		return problem.New(http.StatusForbidden, refused.Error())
	case errors.As(err, &unknown):
		b.OnRefused(r, user, err)
		return problem.New(unknown.Status, unknown.Detail)
	case errors.Is(err, resources.ErrInvalid), errors.Is(err, batchget.ErrTooMany):
		return problem.New(http.StatusBadRequest, err.Error())
	case errors.Is(err, clusters.ErrNotReady):
		return problem.Later(http.StatusServiceUnavailable, b.RetryAfter, err.Error()+": try again later; the server's log has the reason")
	case errors.Is(err, store.ErrMayNotWrite):
		b.Log.Error(err, "notification not changed", "user", user.String())
		return problem.New(http.StatusServiceUnavailable, store.ErrMayNotWrite.Error())
	case errors.Is(err, store.ErrNotificationChanged):
		return problem.New(http.StatusConflict, err.Error())
	case errors.Is(err, view.ErrNotFound), errors.Is(err, store.ErrNoNotification), errors.Is(err, store.ErrNoDelivery):
		return problem.New(http.StatusNotFound, err.Error())
	case errors.Is(err, stream.ErrTooManyOfUser):
		return problem.Later(http.StatusTooManyRequests, b.RetryAfter, err.Error()+": close one, or try again later")
	case errors.Is(err, stream.ErrTooMany), errors.Is(err, stream.ErrNotReady):
		return problem.Later(http.StatusServiceUnavailable, b.RetryAfter, err.Error()+": try again later")
	case store.IsInvalid(err):
		return problem.New(http.StatusBadRequest, "a parameter has a value that can't be stored, so that nothing has it")
	}
	if ctx.Err() == nil {
		b.Log.Error(err, "request not answered, the database or the API server is away", "user", user.String())
	}
	return problem.Later(http.StatusServiceUnavailable, b.RetryAfter, "Postgres or the API server does not answer: try again later; the server's log has the reason")
}
