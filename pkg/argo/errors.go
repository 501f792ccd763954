package argo

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Refusal ends a task without a Workflow, or holds it: trying again at once cannot help.
type Refusal struct {
	// Status is Error where something must be mended, Cancelled where the task's
	// reason to exist is gone, Held where it waits for something.
	Status  store.Status
	Reason  v1alpha1.Reason
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.Reason, r.Message) }

func refused(reason v1alpha1.Reason, format string, args ...any) *Refusal {
	return &Refusal{Status: store.StatusError, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func cancelled(reason v1alpha1.Reason, format string, args ...any) *Refusal {
	return &Refusal{Status: store.StatusCancelled, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func held(hold trigger.Hold) *Refusal {
	return &Refusal{Status: store.StatusHeld, Reason: hold.Reason, Message: hold.Message}
}

// classify tells an answer of the API server that can never change from one that
// may. Forbidden may: a quota frees up, a role is granted. So may what an admission
// policy denies, with whatever code: it is changed, or reaches again what it asks.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), namespaceIsGone(err):
		return cancelled(v1alpha1.ReasonNamespaceDeleted, "the namespace is being deleted")
	case IsByAdmission(err):
		return fmt.Errorf("create workflow: %w", err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), isTooLarge(err):
		return refused(v1alpha1.ReasonWorkflowInvalid, "the API server refused the Workflow: %v", err)
	default:
		return fmt.Errorf("create workflow: %w", err)
	}
}

// tooLarge is how the API server tells, with a code of 500, that the object is more
// than etcd takes, or than it sends to etcd (k8s.io/apiserver,
// endpoints/handlers/rest.go: isTooLargeError).
var tooLarge = []string{"etcdserver: request is too large", "trying to send message larger than max"}

func isTooLarge(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	return apierrors.IsRequestEntityTooLargeError(err) || slices.ContainsFunc(tooLarge, func(text string) bool {
		return strings.Contains(answer.Status().Message, text)
	})
}

// What the API server tells of what it is not to blame for: an admission webhook that did
// not answer, with a code of 500, or that denied the request, with the webhook's code or
// 400 (k8s.io/apiserver, admission/plugin/webhook/errors), and a
// ValidatingAdmissionPolicy that did, with 422 unless it says otherwise
// (admission/plugin/policy/validating). Most are of some namespaces only.
var (
	webhookFailed = regexp.MustCompile(`failed calling webhook "`)
	webhookDenied = regexp.MustCompile(`admission webhook ".*" denied the request`)
	policyDenied  = regexp.MustCompile(`ValidatingAdmissionPolicy '.*' denied request`)
)

// IsByAdmission tells whether an admission webhook or policy denied a request, with whatever
// code, or a webhook did not answer. Who allows it again changes no object.
func IsByAdmission(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	message := answer.Status().Message
	return webhookFailed.MatchString(message) || webhookDenied.MatchString(message) || policyDenied.MatchString(message)
}

// CauseOf tells why the API server refuses a Workflow for a while, in its words, where it
// is not the API server itself that fails; false where it is, or the error is final.
func CauseOf(err error) (cause limit.Cause, message string, known bool) {
	var answer apierrors.APIStatus
	var refusal *Refusal
	if !errors.As(err, &answer) || errors.As(err, &refusal) {
		return limit.Cause{}, "", false
	}
	message = answer.Status().Message
	_, quota, isQuota := strings.Cut(message, quotaExceeded)
	switch {
	case webhookFailed.MatchString(message):
		return CauseBy(v1alpha1.ReasonWebhookFailed), message, true
	case webhookDenied.MatchString(message):
		return CauseBy(v1alpha1.ReasonWebhookDenied), message, true
	case policyDenied.MatchString(message):
		return CauseBy(v1alpha1.ReasonPolicyDenied), message, true
	case answer.Status().Code != http.StatusForbidden:
		return limit.Cause{}, "", false
	case isQuota:
		return CauseBy(v1alpha1.ReasonQuotaExceeded), quotaExceeded + quota, true
	default:
		return CauseBy(v1alpha1.ReasonForbidden), message, true
	}
}

// quotaExceeded is how the API server tells that a quota is used up
// (k8s.io/apiserver, admission/plugin/resourcequota/controller.go).
const quotaExceeded = "exceeded quota: "

// CauseBy returns the cause that has this reason.
func CauseBy(reason v1alpha1.Reason) limit.Cause {
	return limit.Cause{
		Reason:   string(reason),
		OfObject: reason == v1alpha1.ReasonPolicyDenied || reason == v1alpha1.ReasonWebhookDenied,
		Frees:    reason == v1alpha1.ReasonQuotaExceeded,
	}
}

// ShutError says that a Workflow was not tried, since the API server refuses others of its
// namespace for now.
type ShutError struct{ Reason v1alpha1.Reason }

func (e *ShutError) Error() string { return "the namespace waits: " + string(e.Reason) }

// IsOutage tells a failure of the API server itself, or of the way to it, from one
// that concerns this task alone, such as a quota. The error is one that may pass.
func IsOutage(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return true
	}
	if IsByAdmission(err) {
		return false
	}
	code := answer.Status().Code
	return code == http.StatusUnauthorized || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
}

// namespaceIsGone tells a missing namespace from a missing kind: both are 404.
func namespaceIsGone(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code != http.StatusNotFound || status.Status().Details == nil {
		return false
	}
	return status.Status().Details.Kind == "namespaces"
}
