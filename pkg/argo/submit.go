package argo

import (
	"context"
	"errors"
	"fmt"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
)

// RequestTimeout bounds one request to the API server, waiting for its token bucket
// included. A create that ends at it may have succeeded: the next attempt finds out.
const RequestTimeout = 8 * time.Second

// +kubebuilder:rbac:groups=argoproj.io,resources=workflows,verbs=get;create
// +kubebuilder:rbac:groups=argoproj.io,resources=workflowtemplates;clusterworkflowtemplates,verbs=get;list;watch

// Submitter creates Workflows. It is safe for concurrent use.
type Submitter struct {
	// Builders make the Workflows.
	Builders Builders
	// Cache answers from memory, and may lag behind.
	Cache client.Reader
	// Live reads and writes at the API server, in the trigger class of the
	// process's token bucket.
	Live client.Client
	// Unowned Workflows have no owner: it is in another cluster, whose garbage collector would
	// delete them at once.
	Unowned bool
	// Admits tells whether a Workflow of the claim's namespace may be tried now, and if not,
	// why. Defaults to always.
	Admits func(claim store.Claim) (reason string, admitted bool)
}

// Made is a Workflow that exists.
type Made struct {
	UID string
}

// Submit makes sure that the claimed task's Workflow exists. A *Refusal means that
// it never will, or not before what holds the task is over; any other error may pass. Submitting a task again, from wherever,
// makes no second Workflow.
func (s *Submitter) Submit(ctx context.Context, claim store.Claim) (Made, error) {
	if claim.StopReason != "" {
		return s.confirmStopped(ctx, claim)
	}
	workflow, err := s.prepare(ctx, s.Cache, claim)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		// It is final: the cache may lag behind, so that the API server has the last word,
		// and an earlier attempt may have made the Workflow without knowing it.
		if made, err := s.alreadyCreated(ctx, claim); made != (Made{}) || err != nil && !mayEndUnseen(refusal, err) {
			return made, err
		}
		workflow, err = s.prepare(ctx, s.Live, claim)
	}
	if err != nil {
		return Made{}, err
	}
	return s.create(ctx, claim, workflow)
}

// confirmStopped ends a task that is to be stopped, unless an earlier attempt has made its
// Workflow: that is stopped once the task knows of it.
func (s *Submitter) confirmStopped(ctx context.Context, claim store.Claim) (Made, error) {
	stopped := cancelled(claim.StopReason, "stopped before its turn came")
	if made, err := s.alreadyCreated(ctx, claim); made != (Made{}) || err != nil && !mayEndUnseen(stopped, err) {
		return made, err
	}
	return Made{}, stopped
}

// mayEndUnseen tells whether a task is to be cancelled, and Penstock lacks the right to look for the
// task's Workflow. Such a task ends, since the right may never come back. If it does, the sweep stops
// the Workflow.
func mayEndUnseen(refusal *Refusal, err error) bool {
	return refusal.Status == store.StatusCancelled && apierrors.IsForbidden(err)
}

// alreadyCreated returns the Workflow that an earlier attempt has made without knowing it.
func (s *Submitter) alreadyCreated(ctx context.Context, claim store.Claim) (Made, error) {
	if claim.Attempt <= 1 {
		return Made{}, nil
	}
	made, err := s.adopt(ctx, claim)
	if apierrors.IsNotFound(err) {
		return Made{}, nil
	}
	return made, err
}

// prepare builds the Workflow of a task from what the reader says, or refuses it.
func (s *Submitter) prepare(ctx context.Context, reader client.Reader, claim store.Claim) (*wfv1.Workflow, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	return s.Builders.Build(ctx, reader, claim)
}

func (s *Submitter) create(ctx context.Context, claim store.Claim, workflow *wfv1.Workflow) (Made, error) {
	if s.Admits != nil {
		if reason, admitted := s.Admits(claim); !admitted {
			return Made{}, &ShutError{Reason: v1alpha1.Reason(reason)}
		}
	}
	if s.Unowned {
		workflow.OwnerReferences = nil
	}
	createCtx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	failpoint.Hit(failpoint.SubmitBeforeCreate)
	err := s.Live.Create(createCtx, workflow)
	if apierrors.IsAlreadyExists(err) {
		return s.adopt(ctx, claim)
	}
	if err == nil {
		return madeOf(workflow), failpoint.Error(failpoint.SubmitAfterCreate)
	}
	err = classify(err)
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		return Made{}, err
	}
	// Whether the name exists is looked at after admission and validation.
	if made, doubt := s.alreadyCreated(ctx, claim); made != (Made{}) || doubt != nil {
		return made, doubt
	}
	return Made{}, err
}

func madeOf(workflow metav1.Object) Made { return Made{UID: string(workflow.GetUID())} }

// adopt accepts the Workflow that has the task's name, where it is the task's.
func (s *Submitter) adopt(ctx context.Context, claim store.Claim) (Made, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	existing := Workflow()
	key := types.NamespacedName{Namespace: claim.Namespace, Name: claim.WorkflowName}
	if err := s.Live.Get(ctx, key, existing); err != nil {
		return Made{}, fmt.Errorf("get existing workflow: %w", err)
	}
	if !isOurs(existing, claim) {
		return Made{}, refused(v1alpha1.ReasonNameConflict,
			"a Workflow named %s exists and is not Penstock's: find out who made it, then create a RunRequest with action Retry, which uses another name", claim.WorkflowName)
	}
	return madeOf(existing), nil
}

// isOurs tells whether a Workflow of the task's name, which is derived from the task's
// identity, carries the whole of it.
func isOurs(workflow metav1.Object, claim store.Claim) bool {
	return workflow.GetLabels()[v1alpha1.LabelIdentity] == claim.Identity
}
