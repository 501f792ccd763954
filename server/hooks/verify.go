package hooks

import (
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/server/problem"
)

// errNotFound is the answer to everybody who is not verified, whatever the reason.
var errNotFound = problem.New(http.StatusNotFound, "nothing receives here, or the signature is wrong")

// verified returns the Receiver that a request is for, once its sender is verified.
func (h *Handler) verified(r *http.Request, path string, body []byte) (store.Receiver, error) {
	request := webhook.Request{Header: r.Header, Body: body, At: time.Now()}
	receiver, found, err := h.receivers.at(r.Context(), path)
	if err != nil {
		h.Log.Error(err, "receivers not read, the database is away")
		return receiver, h.later("the database does not answer")
	}
	sender, known := webhook.SenderOf(receiver.Spec.Type)
	if !found || !known {
		_ = webhook.Refuse(request) // which takes as long as to verify
		return receiver, errNotFound
	}
	err = h.verify(r, receiver, sender, request)
	switch {
	case err == nil:
		return receiver, nil
	case isTransient(err):
		h.Log.Error(err, "secret of a receiver not read", "namespace", receiver.Namespace, "receiver", receiver.Name)
		return receiver, h.later("the API server does not answer")
	}
	h.Log.Info("delivery refused", "namespace", receiver.Namespace, "receiver", receiver.Name, "reason", err.Error())
	return receiver, errNotFound
}

// verify tries the Secret as it is known and, where it does not fit, as it is now.
func (h *Handler) verify(r *http.Request, receiver store.Receiver, sender webhook.Sender, request webhook.Request) error {
	if receiver.Spec.SecretRef == nil {
		return sender.Verify(request, nil)
	}
	name := receiver.Spec.SecretRef.Name
	values, err := h.secrets.of(r.Context(), receiver.Namespace, name)
	if err != nil && isTransient(err) {
		return err
	}
	if refused := sender.Verify(request, values); refused == nil {
		return nil
	}
	values, wasRead, err := h.secrets.again(r.Context(), receiver.Namespace, name)
	if wasRead && len(values) == 0 {
		h.suspects.add(receiver.UID)
	}
	if err != nil {
		return err
	}
	if !wasRead {
		return webhook.ErrUnverified
	}
	return sender.Verify(request, values)
}

// isTransient tells whether the API server may answer otherwise in a moment. That a Secret is
// not there, or may not be read, is an answer.
func isTransient(err error) bool {
	return !errors.Is(err, webhook.ErrUnverified) && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err)
}

func (h *Handler) later(why string) error {
	return problem.Later(http.StatusServiceUnavailable, h.RetryAfter, why+": try again later")
}
