package argo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

func TestWhichAnswersOfTheAPIServerAreFinal(t *testing.T) {
	t.Parallel()
	workflows := schema.GroupResource{Group: "argoproj.io", Resource: "workflows"}
	kind := schema.GroupKind{Group: "argoproj.io", Kind: "Workflow"}
	terminating := apierrors.NewForbidden(workflows, "web", errors.New("namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	namespaceNotFound := apierrors.NewNotFound(corev1.Resource("namespaces"), "team")
	for sentence, tc := range map[string]struct {
		err    error
		status store.Status
		reason v1alpha1.Reason
	}{
		"422 is": {
			apierrors.NewInvalid(kind, "web", field.ErrorList{field.Required(field.NewPath("spec"), "")}),
			store.StatusError, v1alpha1.ReasonWorkflowInvalid,
		},
		"400 is": {apierrors.NewBadRequest("unknown field"), store.StatusError, v1alpha1.ReasonWorkflowInvalid},
		"413 is": {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), store.StatusError, v1alpha1.ReasonWorkflowInvalid},
		"500 because etcd takes no such object is": {
			apierrors.NewInternalError(errors.New("etcdserver: request is too large")), store.StatusError, v1alpha1.ReasonWorkflowInvalid,
		},
		"500 because etcd is sent no such object is": {
			apierrors.NewInternalError(errors.New("rpc error: code = ResourceExhausted desc = trying to send message larger than max (3 vs. 2)")),
			store.StatusError, v1alpha1.ReasonWorkflowInvalid,
		},
		"403 because the namespace terminates is, and cancels": {
			terminating, store.StatusCancelled, v1alpha1.ReasonNamespaceDeleted,
		},
		"404 of the namespace is, and cancels": {namespaceNotFound, store.StatusCancelled, v1alpha1.ReasonNamespaceDeleted},
		"404 of the namespace is known when it is wrapped": {
			fmt.Errorf("wait: %w", namespaceNotFound), store.StatusCancelled, v1alpha1.ReasonNamespaceDeleted,
		},
		"404 of the kind is not: Argo's CRDs may come": {
			&apierrors.StatusError{ErrStatus: metav1.Status{Code: 404, Reason: metav1.StatusReasonNotFound}}, "", "",
		},
		"404 of something else is not": {apierrors.NewNotFound(workflows, "web"), "", ""},
		"403 by a quota is not":        {apierrors.NewForbidden(workflows, "web", errors.New("exceeded quota")), "", ""},
		"401 is not":                   {apierrors.NewUnauthorized("token expired"), "", ""},
		"409 of a conflict is not":     {apierrors.NewConflict(workflows, "web", errors.New("changed")), "", ""},
		"429 is not":                   {apierrors.NewTooManyRequests("slow down", 1), "", ""},
		"500 is not":                   {apierrors.NewInternalError(errors.New("etcd")), "", ""},
		"503 is not":                   {apierrors.NewServiceUnavailable("starting"), "", ""},
		"504 is not":                   {apierrors.NewTimeoutError("slow", 1), "", ""},
		"400 of a webhook that gives no code is not": {
			deniedByWebhook(http.StatusBadRequest, ": image not verified"), "", "",
		},
		"422 of a webhook is not": {
			deniedByWebhook(http.StatusUnprocessableEntity, " without explanation"), "", "",
		},
		"an end of time is not": {context.DeadlineExceeded, "", ""},
		"no connection is not":  {errors.New("connection refused"), "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			err := classify(tc.err)
			require.Error(t, err)
			var refusal *Refusal
			if !errors.As(err, &refusal) {
				require.Empty(t, tc.status, "%v may pass, but should be final", err)
				require.ErrorIs(t, err, tc.err)
				return
			}
			require.Equal(t, tc.status, refusal.Status)
			require.Equal(t, tc.reason, refusal.Reason)
		})
	}
}

// deniedByWebhook is what the API server makes of a webhook's denial
// (k8s.io/apiserver, admission/plugin/webhook/errors: ToStatusErr): 400 without a reason
// where the webhook gives no code.
func deniedByWebhook(code int32, explanation string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Message: `admission webhook "policy.example.com" denied the request` + explanation,
	}}
}

func TestNoErrorIsNone(t *testing.T) {
	t.Parallel()
	require.NoError(t, classify(nil))
}

func TestARefusalTellsItsReasonAndItsMessage(t *testing.T) {
	t.Parallel()
	require.EqualError(t, refused(v1alpha1.ReasonNameConflict, "a Workflow named %s exists", "web"),
		"NameConflict: a Workflow named web exists")
}

func TestAnOutageIsToldFromWhatConcernsOneRow(t *testing.T) {
	t.Parallel()
	workflows := schema.GroupResource{Group: "argoproj.io", Resource: "workflows"}
	for sentence, tc := range map[string]struct {
		err    error
		outage bool
	}{
		"429 is":                               {apierrors.NewTooManyRequests("slow down", 1), true},
		"500 is":                               {apierrors.NewInternalError(errors.New("etcd")), true},
		"503 is":                               {apierrors.NewServiceUnavailable("starting"), true},
		"401 is: all share it":                 {apierrors.NewUnauthorized("token expired"), true},
		"an end of time is":                    {context.DeadlineExceeded, true},
		"no connection is":                     {errors.New("connection refused"), true},
		"403 by a quota isn't":                 {apierrors.NewForbidden(workflows, "web", errors.New("exceeded quota")), false},
		"500 of a webhook isn't":               {apierrors.NewInternalError(errors.New(`failed calling webhook "policy.example.com": no endpoints`)), false},
		"500 that a webhook denies with isn't": {deniedByWebhook(http.StatusInternalServerError, ": try later"), false},
		"429 that a webhook denies with isn't": {deniedByWebhook(http.StatusTooManyRequests, ": try later"), false},
		"409 isn't":                            {apierrors.NewConflict(workflows, "web", errors.New("changed")), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.outage, IsOutage(fmt.Errorf("create workflow: %w", tc.err)))
		})
	}
}

func TestWhyTheAPIServerRefusesANamespacesWorkflows(t *testing.T) {
	t.Parallel()
	workflows := schema.GroupResource{Group: "argoproj.io", Resource: "workflows"}
	policy := &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusUnprocessableEntity, Message: `workflows "web" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no`}}
	for sentence, tc := range map[string]struct {
		err      error
		cause    limit.Cause
		message  string
		isCaused bool
	}{
		"a quota frees when a Workflow is deleted": {
			apierrors.NewForbidden(workflows, "web", errors.New("exceeded quota: team, used: 5")),
			limit.Cause{Reason: "QuotaExceeded", Frees: true}, "exceeded quota: team, used: 5", true,
		},
		"any other 403 is a missing right": {
			apierrors.NewForbidden(workflows, "web", errors.New("user x cannot create resource")),
			limit.Cause{Reason: "Forbidden"}, `workflows.argoproj.io "web" is forbidden: user x cannot create resource`, true,
		},
		"a webhook may deny one Workflow only": {
			deniedByWebhook(http.StatusForbidden, ": no"), limit.Cause{Reason: "WebhookDenied", OfObject: true}, `admission webhook "policy.example.com" denied the request: no`, true,
		},
		"a policy may deny one Workflow only": {policy, limit.Cause{Reason: "PolicyDenied", OfObject: true}, policy.ErrStatus.Message, true},
		"a webhook that does not answer answers none": {
			apierrors.NewInternalError(errors.New(`failed calling webhook "policy.example.com": no endpoints`)),
			limit.Cause{Reason: "WebhookFailed"}, `Internal error occurred: failed calling webhook "policy.example.com": no endpoints`, true,
		},
		"429 is of the API server":   {apierrors.NewTooManyRequests("slow down", 1), limit.Cause{}, "", false},
		"no connection is no answer": {errors.New("connection refused"), limit.Cause{}, "", false},
		"a refusal is final":         {refused(v1alpha1.ReasonWorkflowInvalid, "no"), limit.Cause{}, "", false},
		"no error is none":           {nil, limit.Cause{}, "", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			err := tc.err
			if err != nil {
				err = fmt.Errorf("create workflow: %w", err)
			}
			cause, message, known := CauseOf(err)
			require.Equal(t, tc.isCaused, known)
			require.Equal(t, tc.cause, cause)
			require.Equal(t, tc.message, message)
		})
	}
}
