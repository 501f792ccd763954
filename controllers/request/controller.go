// Package request observes RunRequests, carries each out once, and writes their status
// and the events on them.
package request

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	// retryFirst and retryMost bound the pause after an error.
	retryFirst, retryMost = 100 * time.Millisecond, 5 * time.Second
	// planPause is the pause before a build that has just ended is looked for again.
	planPause = 500 * time.Millisecond
	// readTimeout bounds one read at the API server, waiting for its token bucket included.
	readTimeout = 15 * time.Second
)

// errUnplanned says that the build has ended, and that what follows is not committed yet.
var errUnplanned = errors.New("the build is not planned yet")

// +kubebuilder:rbac:groups=penstock.dev,resources=runrequests,verbs=list;watch
// +kubebuilder:rbac:groups=penstock.dev,resources=runrequests/status,verbs=patch

// Rows is what requests read and write.
type Rows interface {
	// FindRequest returns what became of a request before, or nil.
	FindRequest(ctx context.Context, request store.Request) (*store.Answer, error)
	// Refuse records that a request was refused.
	Refuse(ctx context.Context, request store.Request, message string) (store.Answer, error)
	// StartRuns, CancelRuns and ResumeStages carry a request out, once.
	StartRuns(ctx context.Context, request store.Request, starting store.Starting) (store.Answer, error)
	CancelRuns(ctx context.Context, request store.Request, run int64) (store.Answer, error)
	ResumeStages(ctx context.Context, request store.Request, run int64, stage trigger.Stage, holdOf func(store.Held) trigger.Hold) (store.Answer, error)
	// Runs returns the run with the number, or those of the build, the newest first.
	Runs(ctx context.Context, pipelineUID string, run int64, build string) ([]store.RunState, error)
	// FindBuild returns the newest planned build of that name, or nil.
	FindBuild(ctx context.Context, namespace, name string) (*store.FinishedBuild, error)
	// NoteBuild notes a build whose plan is lost, so that runs can be made of it.
	NoteBuild(ctx context.Context, build trigger.Build, artifacts []v1alpha1.Artifact) (*store.FinishedBuild, error)
	// DeployedBefore returns what the pipeline deployed before what is deployed now.
	DeployedBefore(ctx context.Context, pipeline store.PipelineRef) (*store.FinishedBuild, string, error)
}

// Config is what a Controller needs.
type Config struct {
	// Cache reads objects from memory; Live at the API server.
	Cache, Live client.Reader
	// Writer patches the status of RunRequests.
	Writer  client.Client
	Rows    Rows
	Decider trigger.Decider
	// Compared waits until what Kubernetes tells of earlier runs was compared with the rows.
	// Optional.
	Compared func(ctx context.Context) error
	// Targets carry out requests about what is no pipeline, by its kind.
	Targets map[string]Target
	// Events records events on RunRequests.
	Events events.EventRecorder
	// OnCommit is called after a request was carried out.
	OnCommit func()
}

// Controller carries out RunRequests.
type Controller struct{ Config }

// New returns a controller.
func New(config Config) *Controller { return &Controller{Config: config} }

// Register adds the controller to the manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("request").
		For(&v1alpha1.RunRequest{}).
		WithOptions(controller.Options{
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](retryFirst, retryMost),
		}).
		Complete(c)
	if err != nil {
		return fmt.Errorf("register request: %w", err)
	}
	return nil
}

// Reconcile carries a request out, and writes what became of it. After a crash between
// the two the answer is found in the tables.
func (c *Controller) Reconcile(ctx context.Context, key reconcile.Request) (reconcile.Result, error) {
	object := &v1alpha1.RunRequest{}
	if err := c.Cache.Get(ctx, key.NamespacedName, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if object.Status.Phase != "" || !object.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	if c.Compared != nil {
		if err := c.Compared(ctx); err != nil {
			return reconcile.Result{}, nil //nolint:nilerr // it ends with the process alone
		}
	}
	answer, err := c.answer(ctx, object)
	switch {
	case errors.Is(err, store.ErrStale):
		return reconcile.Result{RequeueAfter: retryFirst}, nil
	case errors.Is(err, errUnplanned):
		return reconcile.Result{RequeueAfter: planPause}, nil
	case err != nil && ctx.Err() != nil:
		return reconcile.Result{}, nil //nolint:nilerr // what a shutdown interrupts is carried out at the next start
	case err != nil:
		return reconcile.Result{}, err
	}
	failpoint.Hit(failpoint.RequestAfterCommit)
	c.OnCommit()
	err = c.write(ctx, object, answer)
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: retryFirst}, nil // it has only changed since it was read
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// answer carries the request out unless that was done before.
func (c *Controller) answer(ctx context.Context, object *v1alpha1.RunRequest) (store.Answer, error) {
	request, err := requestOf(object)
	if err != nil {
		return store.Answer{}, err
	}
	before, err := c.Rows.FindRequest(ctx, request)
	if err != nil {
		return store.Answer{}, err
	}
	if before != nil {
		return *before, nil
	}
	answer, err := c.carryOut(ctx, object, request)
	var refused *refusal
	if errors.As(err, &refused) {
		return c.Rows.Refuse(ctx, request, clip.Text(refused.message, maxMessage))
	}
	return answer, err
}

// maxMessage bounds, in bytes, what is stored of a message.
const maxMessage = 1024

// requestOf leaves the pipeline's UID to be found.
func requestOf(object *v1alpha1.RunRequest) (store.Request, error) {
	spec, err := json.Marshal(object.Spec)
	if err != nil {
		return store.Request{}, fmt.Errorf("encode spec: %w", err)
	}
	hash := sha256.Sum256(spec)
	request := store.Request{
		Namespace: object.Namespace, Name: object.Name, SpecHash: hex.EncodeToString(hash[:]),
		Action: object.Spec.Action, Actor: object.Spec.By, Reason: object.Spec.Reason,
	}
	if request.Actor == "" {
		request.Actor = "RunRequest " + object.Name
	}
	if object.Spec.BuildRef != nil {
		request.BuildName = object.Spec.BuildRef.Name
	}
	return request, nil
}

// write refuses to answer an object that is not the one which was read: it may have been
// deleted and created again with another spec.
func (c *Controller) write(ctx context.Context, object *v1alpha1.RunRequest, answer store.Answer) error {
	changed := object.DeepCopy()
	at := metav1.NewTime(answer.At)
	changed.Status = v1alpha1.RunRequestStatus{Phase: answer.Phase, Run: answer.Run, Message: answer.Message, At: &at}
	patch := client.MergeFromWithOptions(object, client.MergeFromWithOptimisticLock{})
	if err := c.Writer.Status().Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("patch status: %w", err)
	}
	kind := corev1.EventTypeNormal
	if answer.Phase == v1alpha1.RequestRefused {
		kind = corev1.EventTypeWarning
	}
	c.Events.Eventf(changed, nil, kind, string(answer.Phase), string(object.Spec.Action), "%s", clip.Note(answer.Message))
	log.FromContext(ctx).Info("request answered", "action", object.Spec.Action, "phase", answer.Phase, "run", answer.Run)
	return nil
}
