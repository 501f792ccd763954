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

// Back-off of one task that has failed by itself, by its failures. One that failed because
// the API server did is tried again soon after rowFirst: its turn comes when the server is
// back.
const rowFirst, rowMost = 500 * time.Millisecond, 5 * time.Minute

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
		completion.Failed, completion.Delay = true, backoff(claim.Failures+1, rowFirst, rowMost)
	}
	completion.Message = clip.Text(completion.Message, maxMessage)
	return completion
}

// excused is a completion of a task that is not to blame: the API server failed, where it is
// known since then.
func excused(completion store.Completion, err error, since time.Time) store.Completion {
	completion.Failed, completion.Delay = false, backoff(1, rowFirst, rowFirst)
	message := fmt.Sprintf("the API server fails: %v", err)
	if !since.IsZero() {
		message = fmt.Sprintf("the API server fails since %s: %v", since.UTC().Format(time.RFC3339), err)
	}
	completion.Message = clip.Text(message, maxMessage)
	return completion
}

// backoff doubles with each failure up to most, of which between half and all is
// taken, so that those who failed together do not return together.
func backoff(failures int32, first, most time.Duration) time.Duration {
	const maxShift = 20
	wait := min(first<<min(max(failures-1, 0), maxShift), most)
	return wait/2 + rand.N(wait/2+1)
}
