package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/crash"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
)

// submit is a task of the pool.
func (d *Dispatcher) submit(ctx context.Context, t task) (err error) {
	if t.life.Err() != nil {
		return errSilent
	}
	ctx, leave := t.life.bound(ctx)
	defer leave()
	*t.began = time.Now()
	*t.made, err = d.Submitter.Submit(ctx, t.claim)
	return err
}

// finish decides what a submission's end means for its task.
func (d *Dispatcher) finish(t task, err error) {
	if err != nil && t.life.Err() != nil {
		d.giveBack(t) // it is nobody's failure
		return
	}
	var shut *argo.ShutError
	if errors.As(err, &shut) {
		d.setAside(t.claim, shut.Reason)
		return
	}
	completion := judge(t.claim, err)
	completion.WorkflowUID = t.made.UID
	d.account(t.claim, &completion, err)
	switch {
	case err == nil:
		d.answered(t)
	case completion.Status != store.StatusPending: // the API server may not have been asked
	case !argo.IsOutage(err):
		d.answered(t)
	case apierrors.IsTooManyRequests(err):
		completion = excused(completion, err, time.Time{})
	default:
		d.suspect(failure{t, completion, err})
		return
	}
	d.settle(t, completion, err)
}

// settle tells of the end of a submission, and commits it.
func (d *Dispatcher) settle(t task, completion store.Completion, err error) {
	d.tell(t, completion, err)
	d.metrics.triggers.WithLabelValues(string(completion.Status)).Inc()
	d.metrics.duration.Observe(time.Since(t.claimed).Seconds())
	d.commit(completion)
}

// tell logs and measures what a submission came to.
func (d *Dispatcher) tell(t task, completion store.Completion, err error) {
	log := d.Log.WithValues("owner", t.claim.Owner.Name, "namespace", t.claim.Namespace, "build", t.claim.Inputs.Build, "stage", t.claim.Inputs.Stage)
	switch completion.Status {
	case store.StatusSubmitted:
		d.created.add(time.Now())
		d.metrics.latency.Observe((t.claim.Waited + time.Since(t.claimed)).Seconds())
	case store.StatusPending:
		log.Info("task not submitted, will retry", "attempt", t.claim.Attempt, "retryIn", completion.Delay.String(), "error", err.Error())
	case store.StatusHeld:
		log.Info("task held", "reason", completion.Reason, "message", completion.Message)
	default:
		log.Info("task refused", "reason", completion.Reason, "message", completion.Message)
	}
	crash.Tell(log, "dispatch", err)
}

// commit hands a completion over. When that is refused, the task's lease runs out
// and the next attempt finds what this one made.
func (d *Dispatcher) commit(completion store.Completion) {
	if err := d.done.Add(completion); err != nil {
		d.Log.Error(err, "completion dropped, the lease will run out", "task", completion.ID)
	}
}

// complete commits a group of completions.
func (d *Dispatcher) complete(ctx context.Context, completions []store.Completion) error {
	began := time.Now()
	failpoint.Hit(failpoint.CompleteBeforeCommit)
	moved, err := d.Queue.Complete(ctx, d.Worker.name, completions)
	if err != nil {
		return fmt.Errorf("commit %d completions: %w", len(completions), err)
	}
	failpoint.Hit(failpoint.CompleteAfterCommit)
	d.metrics.batchDuration.Observe(time.Since(began).Seconds())
	d.Moved(moved)
	return nil
}
