package dispatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

// Back-off of one task, by its attempts, and of the whole dispatcher, by how many
// submissions have failed in a row.
// A task that fails by itself, as for a quota, is left alone for longer than one that
// failed with all others: that one's turn comes when the API server is back.
const (
	rowFirst, rowMost       = 500 * time.Millisecond, 5 * time.Minute
	rowMostInOutage         = 30 * time.Second
	outageFirst, outageMost = 50 * time.Millisecond, 5 * time.Second
)

// maxMessage bounds, in bytes, what is stored of a message: an admission webhook may
// say as much as it likes.
const maxMessage = 1024

// judge says what the end of a submission means for its task: nil is Submitted, a
// refusal holds or ends it, a panic ends it, everything else is tried again.
func judge(claim store.Claim, err error) store.Completion {
	completion := store.Completion{ID: claim.ID, Attempt: claim.Attempt}
	var refusal *argo.Refusal
	var panicked *bounded.PanicError
	switch {
	case err == nil:
		completion.Status = store.StatusSubmitted
	case errors.As(err, &refusal):
		completion.Status, completion.Reason, completion.Message = refusal.Status, refusal.Reason, refusal.Message
	case errors.As(err, &panicked):
		completion.Status, completion.Reason = store.StatusError, v1alpha1.ReasonBuilderPanicked
		completion.Message = fmt.Sprintf("building or submitting the Workflow panicked: %v", panicked.Value)
	default:
		completion.Status, completion.Reason = store.StatusPending, v1alpha1.ReasonSubmissionDelayed
		if cause, _, known := argo.CauseOf(err); known {
			completion.Reason = v1alpha1.Reason(cause.Reason)
		}
		completion.Message = fmt.Sprintf("attempt %d: %v", claim.Failures+1, err)
		most := rowMost
		if argo.IsOutage(err) {
			most = rowMostInOutage
		}
		completion.Delay = backoff(claim.Failures+1, rowFirst, most)
	}
	completion.Message = clip.Text(completion.Message, maxMessage)
	return completion
}

// backoff doubles with each failure up to most, of which between half and all is
// taken, so that those who failed together do not return together.
func backoff(failures int32, first, most time.Duration) time.Duration {
	const maxShift = 20
	wait := min(first<<min(max(failures-1, 0), maxShift), most)
	return wait/2 + rand.N(wait/2+1)
}
