package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault is what becomes of a request to the API server.
type Fault int

const (
	// None passes it on.
	None Fault = iota
	// TooManyRequests answers 429 with Retry-After: 1.
	TooManyRequests
	// InternalError answers 500.
	InternalError
	// Timeout never answers, and the server never hears of it.
	Timeout
	// LostReply passes it on, and never answers.
	LostReply
	// HungBody passes it on, answers with the headers and half of the body, and never
	// with the rest.
	HungBody
	// HalfBody does the same, and then cuts the connection or the stream.
	HalfBody
	// Unauthorized answers 401.
	Unauthorized
	// Cut closes the stream at once, and the server never hears of it.
	Cut
)

func (f Fault) String() string {
	return [...]string{"none", "429", "500", "timeout", "lost reply", "hung body", "half body", "401", "cut"}[f]
}

// Rule decides what becomes of a request. It may hold it up, until its context ends
// because the client has given up. It may be called by several goroutines at once.
type Rule func(context.Context, Request) Fault

// Share gives one of the faults to this share of all requests but watches.
func Share(share float64, faults ...Fault) Rule {
	return func(_ context.Context, request Request) Fault {
		if request.IsWatch() || rand.Float64() >= share {
			return None
		}
		return faults[rand.IntN(len(faults))]
	}
}

// apply does to a request what the fault says; pass sends it to the server.
func (f Fault) apply(ctx context.Context, w http.ResponseWriter, pass func(http.ResponseWriter)) {
	switch f {
	case TooManyRequests:
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
	case InternalError:
		answer(w, http.StatusInternalServerError, metav1.StatusReasonInternalError)
	case Unauthorized:
		answer(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized)
	case HungBody, HalfBody:
		half(w, pass)
		if f == HungBody {
			<-ctx.Done()
		}
		panic(http.ErrAbortHandler)
	case Timeout:
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	case LostReply:
		pass(httptest.NewRecorder())
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	case Cut:
		panic(http.ErrAbortHandler)
	default:
		pass(w)
	}
}

// half answers with the first half of what the server answers.
func half(w http.ResponseWriter, pass func(http.ResponseWriter)) {
	whole := httptest.NewRecorder()
	pass(whole)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(whole.Code)
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	_ = http.NewResponseController(w).Flush()
}

// answer refuses a request as the API server does.
func answer(w http.ResponseWriter, code int32, reason metav1.StatusReason) {
	status := metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: code, Reason: reason,
		Message: fmt.Sprintf("injected fault: %d", code),
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(code))
	_ = json.NewEncoder(w).Encode(status)
}
