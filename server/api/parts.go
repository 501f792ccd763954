package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/stream"
)

// parted is an input that can be answered in parts, as they come.
type parted interface {
	wantsParts() bool
	// parts sends the parts, and then the end. An error of send is returned.
	parts(ctx context.Context, b *Backend, send func(event string, data any) error) error
}

// inParts answers with a stream that ends by itself. It counts among the user's streams.
func inParts(ctx context.Context, b *Backend, user identity.User, asked parted) (*huma.StreamResponse, error) {
	leave, err := b.Streams.Enter(stream.Watch{User: user.Name})
	if err != nil {
		return nil, b.failure(ctx, user, err)
	}
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		defer leave()
		r, w := humago.Unwrap(ctx)
		messages := b.Streams.Messages(w)
		err := asked.parts(r.Context(), b, messages.Send)
		switch {
		case err == nil, r.Context().Err() != nil:
		case messages.HasBegun:
			messages.End(b.failure(r.Context(), user, err))
		default:
			problem.Write(w, b.failure(r.Context(), user, err))
		}
	}}, nil
}
