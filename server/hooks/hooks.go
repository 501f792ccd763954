// Package hooks receives webhooks: it verifies what was sent and keeps it in Postgres, and does
// nothing about it. The leader of the controller works it off.
package hooks

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/server/bucket"
	"github.com/penstock-cd/penstock/server/problem"
)

// Prefix is before the path of every Receiver.
const Prefix = "/hooks/"

// Rows is what is read and written of Postgres.
type Rows interface {
	// ReceiversByPath returns all Receivers that exist.
	ReceiversByPath(ctx context.Context) (map[string]store.Receiver, error)
	// AddDelivery keeps a delivery, and returns its ID, or that of the one that is repeated.
	AddDelivery(ctx context.Context, delivery store.WebhookDelivery) (id int64, repeated bool, err error)
	// NoteSecret notes what is wrong with the Secret of a Receiver, or that nothing is.
	NoteSecret(ctx context.Context, receiver types.UID, problem store.SecretProblem) error
}

// Config is what a Handler needs. Every field is required.
type Config struct {
	Rows Rows
	// Secret reads a Secret, with the rights of the server itself.
	Secret func(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// RetryAfter is what senders are told while Postgres or the API server is away.
	RetryAfter time.Duration
	// OnAnswer is told of each answer: the Receiver's type, or unknown. It must not block.
	OnAnswer func(kind string, status int, took time.Duration)
	Log      logr.Logger
}

// Handler answers the requests of senders.
type Handler struct {
	Config
	receivers *receivers
	secrets   *secrets
	limits    *bucket.Set
	suspects  suspects
	bodies    *semaphore.Weighted
}

// New returns a handler.
func New(config Config) *Handler {
	return &Handler{
		Config: config, receivers: newReceivers(config.Rows.ReceiversByPath), secrets: newSecrets(config.Secret), limits: bucket.NewSet(maxLimits),
		bodies: semaphore.NewWeighted(maxBodies),
	}
}

// ServeHTTP implements http.Handler. Whoever does not know a path and its secret learns nothing
// but that: every such request gets the same answer after the same time.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	kind, answer := h.answer(w, r)
	if errors.Is(answer.err, errNotFound) {
		h.pause(r.Context(), time.Until(began.Add(refusalTime)))
	}
	status := answer.write(w)
	h.OnAnswer(kind, status, time.Since(began))
}

// answer decides about a request. kind is the Receiver's type, where the request was verified.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (kind string, _ answer) {
	kind = "unknown"
	if err := check(w, r); err != nil {
		return kind, answer{err: err}
	}
	body, release, err := h.read(w, r)
	if err != nil {
		return kind, answer{err: err}
	}
	defer release()
	path, isHook := strings.CutPrefix(r.URL.Path, Prefix)
	if !isHook {
		path = ""
	}
	receiver, err := h.verified(r, path, body)
	if err != nil {
		return kind, answer{err: err}
	}
	return string(receiver.Spec.Type), h.keep(r, receiver, body)
}

func check(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if len(r.RequestURI) > maxURL {
		return problem.New(http.StatusRequestURITooLong, "the path is too long")
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return problem.New(http.StatusMethodNotAllowed, "webhooks are sent with POST")
	}
	return nil
}

// pause waits so that the time does not tell why a request was refused.
func (h *Handler) pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
