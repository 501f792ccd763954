package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/dispatch"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
)

var workflows = schema.GroupResource{Group: "argoproj.io", Resource: "workflows"}

// What the API server answers.
var (
	exceeded = apierrors.NewForbidden(workflows, "web", errors.New("exceeded quota: team, requested: count/workflows.argoproj.io=1, used: count/workflows.argoproj.io=5, limited: count/workflows.argoproj.io=5"))
	noRight  = apierrors.NewForbidden(workflows, "", errors.New(`the user "penstock" cannot create resource "workflows" in the namespace "default"`))
	noKind   = apierrors.NewNotFound(workflows, "")
	denied   = &apierrors.StatusError{ErrStatus: metav1.Status{
		Code: 422, Reason: metav1.StatusReasonInvalid, Message: "workflows.argoproj.io \"web\" is forbidden: ValidatingAdmissionPolicy 'teams' with binding 'teams' denied request: no team",
	}}
)

// quota is an API server where a namespace has so many slots for Workflows, which end after
// a while and are gone then.
type quota struct {
	mu      sync.Mutex
	slots   int
	lasts   time.Duration
	used    int
	refused int
	freed   func(namespace string)
	// admits is what argo.Submitter asks before a create.
	admits func(store.Claim) (string, bool)
}

func (q *quota) create(ctx context.Context, claim store.Claim) error {
	q.mu.Lock()
	admits := q.admits
	q.mu.Unlock()
	if reason, admitted := admits(claim); !admitted {
		return &argo.ShutError{Reason: v1alpha1.Reason(reason)}
	}
	if err := wait(ctx, 20*time.Millisecond); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if claim.Namespace != "default" {
		return nil
	}
	if q.used >= q.slots {
		q.refused++
		return exceeded
	}
	q.used++
	time.AfterFunc(q.lasts, func() {
		q.mu.Lock()
		q.used--
		freed := q.freed
		q.mu.Unlock()
		freed(claim.Namespace)
	})
	return nil
}

func (q *quota) refusals() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused
}

// startWith starts a dispatcher before the quota.
func (q *quota) startWith(t *testing.T, rows *queue, s *submitter, change ...func(*dispatch.Config)) *running {
	t.Helper()
	q.mu.Lock()
	q.admits = func(store.Claim) (string, bool) { return "", true }
	q.freed = func(string) {}
	q.mu.Unlock()
	r := start(t, rows, s, change...)
	q.mu.Lock()
	q.admits, q.freed = r.Admits, r.Freed
	q.mu.Unlock()
	return r
}

func TestAUsedUpQuotaCostsFewRefusalsAndNoSlotStaysEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const children, slots, lasts = 50, 5, 10 * time.Second
		limited := &quota{slots: slots, lasts: lasts}
		rows := newQueue(0)
		s := newSubmitter(limited.create)
		limited.startWith(t, rows, s)
		rows.add(children)
		sleep(children / slots * lasts * 13 / 10)
		require.Equal(t, children, s.made(), "within 1.3 times of what is ideal")
		require.LessOrEqual(t, limited.refusals(), children)
		t.Logf("%d refused, %d claims", limited.refusals(), rows.claimed())
		require.LessOrEqual(t, rows.claimed(), 10*children, "what waits costs claims")
	})
}

func TestAShutNamespaceKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limited := &quota{slots: 0}
		rows := newQueue(0)
		s := newSubmitter(limited.create)
		d := limited.startWith(t, rows, s)
		rows.add(1000)
		sleep(5 * time.Second)
		delay, shut := d.DelayOf("default")
		require.True(t, shut)
		require.Equal(t, string(v1alpha1.ReasonQuotaExceeded), delay.Reason)
		require.Equal(t, "exceeded quota: team, requested: count/workflows.argoproj.io=1, used: count/workflows.argoproj.io=5, limited: count/workflows.argoproj.io=5", delay.Message)
		require.Equal(t, limited.refusals(), delay.Attempts)
		require.Less(t, limited.refusals(), 15)

		rows.addIn("other", 10)
		d.Wake()
		sleep(time.Second)
		require.Equal(t, 10, s.made())

		claims := rows.claimed()
		sleep(10 * time.Minute)
		require.Less(t, limited.refusals(), 50, "1000 tasks are tried as often as one")
		require.Less(t, rows.claimed()-claims, 700, "it only looks once a second")
		require.Equal(t, 1000, rows.count(store.StatusPending), "nothing is lost")
	})
}

func TestAfterARestartOneTaskOfEachShutNamespaceIsTriedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limited := &quota{slots: 0}
		rows := newQueue(0)
		s := newSubmitter(limited.create)
		first := limited.startWith(t, rows, s)
		rows.add(100)
		sleep(5 * time.Minute)
		first.stop(t)
		before := limited.refusals()
		limited.startWith(t, rows, newSubmitter(limited.create))
		sleep(200 * time.Millisecond)
		require.Equal(t, before+1, limited.refusals())
		limited.mu.Lock()
		limited.slots, limited.lasts = 1000, time.Hour
		limited.mu.Unlock()
		sleep(time.Minute)
		require.Equal(t, 100, rows.count(store.StatusSubmitted))
		require.LessOrEqual(t, limited.refusals(), before+7)
	})
}

func TestEveryCauseIsToldOnItsTasks(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		answer error
		reason v1alpha1.Reason
	}{
		"a quota":                          {exceeded, v1alpha1.ReasonQuotaExceeded},
		"a missing right":                  {noRight, v1alpha1.ReasonForbidden},
		"a policy":                         {denied, v1alpha1.ReasonPolicyDenied},
		"a webhook that denies":            {answer(403, `admission webhook "teams.example.com" denied the request: no team`), v1alpha1.ReasonWebhookDenied},
		"a webhook that is out of service": {answer(500, `Internal error occurred: failed calling webhook "teams.example.com": no endpoints`), v1alpha1.ReasonWebhookFailed},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told sync.Map
				rows := newQueue(10)
				s := newSubmitter(func(_ context.Context, claim store.Claim) error {
					if claim.Namespace != "default" {
						return nil
					}
					return tc.answer
				})
				d := start(t, rows, s, func(c *dispatch.Config) { c.Delayed = func(namespace string) { told.Store(namespace, true) } })
				sleep(10 * time.Second)
				probed := 0 // which of them is chance
				for id := range int64(10) {
					row := rows.read(id + 1)
					require.Equal(t, store.StatusPending, row.status)
					require.Equal(t, tc.reason, row.delayedBy)
					if row.completion.DelayedBy != "" {
						probed++
						require.Equal(t, tc.reason, row.completion.Reason)
						require.Contains(t, row.completion.Message, "attempt ")
						require.Contains(t, row.completion.Message, tc.answer.Error())
					}
				}
				require.Positive(t, probed)
				delay, shut := d.DelayOf("default")
				require.True(t, shut)
				require.Equal(t, string(tc.reason), delay.Reason)
				require.True(t, delay.Next.After(time.Now().Add(-time.Second)), "or one is being tried now")
				_, wasTold := told.Load("default")
				require.True(t, wasTold)
			})
		})
	}
}

func answer(code int32, message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
}

func TestOneTaskThatAPolicyDeniesKeepsNoOtherOfItsNamespaceWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rows := newQueue(100)
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if claim.ID == 3 {
				return fmt.Errorf("create workflow: %w", denied)
			}
			return nil
		})
		d := start(t, rows, s)
		sleep(time.Second)
		require.Equal(t, 99, s.made())
		_, shut := d.DelayOf("default")
		require.False(t, shut)
		sleep(time.Hour)
		require.Less(t, len(s.callsOf(3)), 40, "it waits longer and longer")
	})
}

func TestTasksThatAPolicyDeniesLetTheOthersOfTheirNamespacePass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const poisoned = 51
		rows := newQueue(poisoned + 20)
		var d atomic.Pointer[running]
		s := newSubmitter(func(_ context.Context, claim store.Claim) error {
			if d := d.Load(); d != nil {
				if _, admitted := d.Admits(claim); !admitted {
					return &argo.ShutError{Reason: v1alpha1.ReasonPolicyDenied}
				}
			}
			if claim.ID <= poisoned {
				return denied
			}
			return nil
		})
		d.Store(start(t, rows, s))
		sleep(5 * time.Minute)
		require.Equal(t, 20, s.made())
		require.Equal(t, poisoned, rows.count(store.StatusPending))
	})
}

func TestANamespaceGetsNoMoreThanItsShareAndOthersGetTheirs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const share = 3
		rows := newQueue(100)
		s := newSubmitter(takes(10 * time.Millisecond))
		d := start(t, rows, s, func(c *dispatch.Config) { c.MaxActive = 10 })
		d.SetShare(share)
		sleep(5 * time.Second)
		rows.addIn("other", 2)
		sleep(5 * time.Second)
		active, err := rows.ActiveByNamespace(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, active["default"], int64(share+5), "what was claimed before it was set")
		for id := int64(1); id <= 100; id++ {
			if rows.read(id).status == store.StatusSubmitted {
				rows.succeed(id)
			}
		}
		for range 20 {
			sleep(5 * time.Second)
			active, err := rows.ActiveByNamespace(t.Context())
			require.NoError(t, err)
			require.Equal(t, int64(share), active["default"])
			require.Equal(t, int64(2), active["other"])
			for id := int64(1); id <= 100; id++ {
				if rows.read(id).status == store.StatusSubmitted {
					rows.succeed(id)
					break
				}
			}
		}
		d.SetShare(0)
		sleep(5 * time.Second)
		active, err = rows.ActiveByNamespace(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(8), active["default"], "up to what the gate lets in")
	})
}

func TestSuspendedWorkflowsDoNotCountForTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rows := newQueue(10)
		s := newSubmitter(takes(10 * time.Millisecond))
		d := start(t, rows, s, func(c *dispatch.Config) { c.MaxActive = 1 })
		sleep(time.Minute)
		require.Equal(t, 1, s.made())
		closed, _, _ := d.Backlog()
		require.True(t, closed)
		d.SetSuspended([]int64{1})
		sleep(time.Minute)
		require.Equal(t, 2, s.made())
	})
}
