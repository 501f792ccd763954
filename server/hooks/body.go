package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/server/problem"
)

// read reads the body, whose place in memory is to be released. It is read whether or not
// there is a Receiver at the path.
func (h *Handler) read(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	if r.ContentLength > webhook.MaxBody {
		return nil, nil, tooLarge(w, r)
	}
	size := r.ContentLength
	if size < 0 { // it is not said
		size = webhook.MaxBody
	}
	ctx, cancel := context.WithTimeout(r.Context(), bodyWait)
	defer cancel()
	if h.bodies.Acquire(ctx, size) != nil {
		return nil, nil, problem.Later(http.StatusServiceUnavailable, h.RetryAfter, "too much is sent at once: try again later")
	}
	body, err = readAll(w, r)
	if err != nil {
		h.bodies.Release(size)
		return nil, nil, err
	}
	return body, func() { h.bodies.Release(size) }, nil
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	reader := http.MaxBytesReader(w, r.Body, webhook.MaxBody)
	body, err := io.ReadAll(reader)
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge(w, r)
	case err != nil:
		return nil, problem.New(http.StatusBadRequest, "the body did not arrive in time, or not whole")
	}
	return body, nil
}

func tooLarge(w http.ResponseWriter, r *http.Request) error {
	problem.Unread(w, r)
	return problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes of a body are read", webhook.MaxBody))
}
