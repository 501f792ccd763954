package plan

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store"
)

// maxTrouble bounds, in bytes, what is told of an error.
const maxTrouble = 512

// Troubles knows why builds could not be planned so far. It is safe for concurrent use.
type Troubles struct {
	lock    sync.Mutex
	byBuild map[types.NamespacedName]string
}

// NewTroubles returns one without troubles.
func NewTroubles() *Troubles { return &Troubles{byBuild: map[types.NamespacedName]string{}} }

// Of says why a build is not planned, when that is tried again, and what to do; empty where
// nothing is wrong.
func (t *Troubles) Of(build types.NamespacedName) string {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.byBuild[build]
}

// note takes note of how planning a build went. What a shutdown breaks off is no trouble, nor
// is that another build goes first.
func (t *Troubles) note(ctx context.Context, build types.NamespacedName, err error) {
	switch {
	case err == nil, errors.Is(err, store.ErrPlanBusy):
		t.over(build)
	case ctx.Err() == nil:
		t.lock.Lock()
		defer t.lock.Unlock()
		t.byBuild[build] = trouble(err)
	}
}

func (t *Troubles) over(build types.NamespacedName) {
	t.lock.Lock()
	defer t.lock.Unlock()
	delete(t.byBuild, build)
}

// trouble is the same text as long as the cause is the same, so that it is written once.
func trouble(err error) string {
	why := clip.Text(err.Error(), maxTrouble)
	problem := store.ProblemOf(err)
	switch {
	case store.IsInvalid(err):
		return fmt.Sprintf("the database refuses this plan: %s: mend what it names in the build or in the pipelines below it; it is tried again with each sweep (SWEEP_INTERVAL)", why)
	case store.IsTimeout(err):
		return fmt.Sprintf("planning takes too long: %s: it is tried again after %s at most by itself; look at the load of Postgres and of the API server", why, retryMost)
	case problem != nil:
		return fmt.Sprintf("the database can't be used: %s: it is tried again after %s at most by itself", problem.Sentence, retryMost)
	case apierrors.ReasonForError(err) != "":
		return fmt.Sprintf("the API server refuses to list the pipelines below: %s: it is tried again after %s at most by itself; check Penstock's rights and the API server", why, retryMost)
	default:
		return fmt.Sprintf("%s: it is tried again after %s at most by itself", why, retryMost)
	}
}
