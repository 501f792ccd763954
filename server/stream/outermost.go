package stream

import (
	"context"
	"net/http"
)

type handOverKey struct{}

// Outermost serves a request, and then what a handler inside has handed over. So the goroutine of a
// stream, which may be open for hours, does not keep the stack of all handlers that it went through.
func Outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if run := serve(next, w, r); run != nil {
			run()
		}
	})
}

func serve(next http.Handler, w http.ResponseWriter, r *http.Request) (run func()) {
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), handOverKey{}, &run)))
	return run
}

// handOver has a function run when the handlers inside Outermost have returned: at once where there
// is no Outermost. The request's context and the response stay what they were.
func handOver(ctx context.Context, run func()) {
	if place, ok := ctx.Value(handOverKey{}).(*func()); ok {
		*place = run
		return
	}
	run()
}
