package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/store"
)

func TestWhatTheEndOfASubmissionMeansForItsRow(t *testing.T) {
	t.Parallel()
	refusal := &argo.Refusal{Status: store.StatusError, Reason: v1alpha1.ReasonTemplateNotFound, Message: "no such template"}
	gone := &argo.Refusal{Status: store.StatusCancelled, Reason: v1alpha1.ReasonPipelineDeleted, Message: "deleted"}
	for sentence, tc := range map[string]struct {
		err     error
		status  store.Status
		reason  v1alpha1.Reason
		message string
		retried bool
	}{
		"no error means that the Workflow exists": {nil, store.StatusSubmitted, "", "", false},
		"a refusal ends the row with its reason": {
			refusal, store.StatusError, v1alpha1.ReasonTemplateNotFound, "no such template", false,
		},
		"a refusal is known however it is wrapped": {
			fmt.Errorf("submit: %w", refusal), store.StatusError, v1alpha1.ReasonTemplateNotFound, "no such template", false,
		},
		"a row whose pipeline is gone is cancelled": {
			gone, store.StatusCancelled, v1alpha1.ReasonPipelineDeleted, "deleted", false,
		},
		"a row whose template is missing is held": {
			&argo.Refusal{Status: store.StatusHeld, Reason: v1alpha1.ReasonTemplate, Message: "no such template"},
			store.StatusHeld, v1alpha1.ReasonTemplate, "no such template", false,
		},
		"a panic ends the row, since it would come again": {
			&bounded.PanicError{Value: "index out of range"}, store.StatusError, v1alpha1.ReasonBuilderPanicked,
			"building or submitting the Workflow panicked: index out of range", false,
		},
		"a panic with an error ends the row too": {
			&bounded.PanicError{Value: context.Canceled}, store.StatusError, v1alpha1.ReasonBuilderPanicked,
			"building or submitting the Workflow panicked: context canceled", false,
		},
		"a failure is tried again and says which attempt it was": {
			errors.New("connection refused"), store.StatusPending, v1alpha1.ReasonSubmissionDelayed,
			"attempt 3: connection refused", true,
		},
		"a timeout is tried again": {
			&bounded.TimeoutError{After: time.Second}, store.StatusPending, v1alpha1.ReasonSubmissionDelayed,
			"attempt 3: no answer within 1s", true,
		},
		"a submission that shutdown broke off is tried again": {
			context.Canceled, store.StatusPending, v1alpha1.ReasonSubmissionDelayed, "attempt 3: context canceled", true,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			completion := judge(store.Claim{ID: 7, Attempt: 9, Failures: 2}, tc.err)
			require.Equal(t, tc.retried, completion.Delay > 0)
			completion.Delay = 0
			require.Equal(t, store.Completion{
				ID: 7, Attempt: 9, Status: tc.status, Reason: tc.reason, Message: tc.message, Failed: tc.retried,
			}, completion)
		})
	}
}

// A task that was often given back, or whose workers often died, has not failed: it is not
// made to wait for that.
func TestATaskWaitsLongerWithEachFailureAndNotWithEachClaim(t *testing.T) {
	t.Parallel()
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "workflows"}, "web", errors.New("exceeded quota"))
	for sentence, tc := range map[string]struct {
		claim   store.Claim
		err     error
		message string
		whole   time.Duration
	}{
		"the first failure counts as the first, however often it was claimed": {
			store.Claim{Attempt: 1000, Failures: 0}, quota, "attempt 1: ", rowFirst,
		},
		"the third failure counts as the third": {store.Claim{Attempt: 3, Failures: 2}, quota, "attempt 3: ", 4 * rowFirst},
		"one that fails by itself waits five minutes at most": {
			store.Claim{Attempt: 1, Failures: 50}, quota, "attempt 51: ", rowMost,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			completion := judge(tc.claim, tc.err)
			require.Contains(t, completion.Message, tc.message)
			require.GreaterOrEqual(t, completion.Delay, tc.whole/2)
			require.LessOrEqual(t, completion.Delay, tc.whole)
		})
	}
}

func TestATaskThatIsNotToBlameIsTriedAgainSoonHoweverOftenItHasFailed(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for message, since := range map[string]time.Time{
		"the API server fails since 2026-01-02T03:04:05Z: connection refused": since,
		"the API server fails: connection refused":                            {},
	} {
		completion := excused(judge(store.Claim{ID: 7, Attempt: 9, Failures: 50}, down), down, since)
		require.GreaterOrEqual(t, completion.Delay, rowFirst/2)
		require.LessOrEqual(t, completion.Delay, rowFirst)
		completion.Delay = 0
		require.Equal(t, store.Completion{
			ID: 7, Attempt: 9, Status: store.StatusPending, Reason: v1alpha1.ReasonSubmissionDelayed, Message: message,
		}, completion)
	}
}

func TestAMessageIsCutThatIsAsLongAsAWebhookLikes(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New(strings.Repeat("x", 1<<20)), &argo.Refusal{Status: store.StatusError, Message: strings.Repeat("x", 1<<20)}} {
		require.Len(t, judge(store.Claim{ID: 7, Attempt: 3}, err).Message, maxMessage)
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	t.Parallel()
	for failures, whole := range map[int32]time.Duration{
		-1: rowFirst, 0: rowFirst, 1: rowFirst, 2: 2 * rowFirst, 3: 4 * rowFirst, 7: 64 * rowFirst,
		8: 128 * rowFirst, 11: rowMost, 100: rowMost, 1 << 30: rowMost,
	} {
		seen := map[time.Duration]bool{}
		for range 200 {
			wait := backoff(failures, rowFirst, rowMost)
			require.GreaterOrEqual(t, wait, whole/2, "after %d failures", failures)
			require.LessOrEqual(t, wait, whole, "after %d failures", failures)
			seen[wait] = true
		}
		require.Greater(t, len(seen), 100, "those who failed together would return together")
	}
}
