package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/request"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=cibuilds,verbs=get;create

// requestTimeout bounds one request to the API server, waiting for its token bucket included.
const requestTimeout = 15 * time.Second

// RequestRows is what requests about builds write.
type RequestRows interface {
	// CancelBuild ends a build.
	CancelBuild(ctx context.Context, request store.Request, buildUID string) (store.Answer, error)
	// Record records what became of a request.
	Record(ctx context.Context, request store.Request, answer store.Answer) (store.Answer, error)
}

// Target carries out RunRequests about CiBuilds.
type Target struct {
	// Live reads, and Writer creates, CiBuilds at the API server.
	Live   client.Reader
	Writer client.Writer
	Rows   RequestRows
}

var _ request.Target = Target{}

// CarryOut implements request.Target.
func (t Target) CarryOut(ctx context.Context, object *v1alpha1.RunRequest, asked store.Request) (store.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	build := &v1alpha1.CiBuild{}
	err := t.Live.Get(ctx, types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.Target.Name}, build)
	switch {
	case apierrors.IsNotFound(err):
		return store.Answer{}, request.Refuse("CiBuild %s does not exist in namespace %s", object.Spec.Target.Name, object.Namespace)
	case err != nil:
		return store.Answer{}, fmt.Errorf("get CiBuild: %w", err)
	case object.Spec.Action == v1alpha1.ActionRetry:
		return t.retry(ctx, build, asked)
	case build.Status.Phase.IsTerminal():
		return store.Answer{}, request.Refuse("there is nothing to cancel: CiBuild %s ended as %s", build.Name, build.Status.Phase)
	default:
		return t.Rows.CancelBuild(ctx, asked, string(build.UID))
	}
}

// retry builds the same again, as a build of its own: how one has ended never changes. Its
// name comes of the request, so that carrying that out twice makes one.
func (t Target) retry(ctx context.Context, build *v1alpha1.CiBuild, asked store.Request) (store.Answer, error) {
	if !build.Status.Phase.IsTerminal() {
		return store.Answer{}, request.Refuse("CiBuild %s has not ended: cancel it first, or wait for its end", build.Name)
	}
	if err := t.runsHere(ctx, build); err != nil {
		return store.Answer{}, err
	}
	again := &v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{Namespace: build.Namespace, Name: retryName(build.Name, asked)},
		Spec:       *build.Spec.DeepCopy(),
	}
	again.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseManual, By: asked.Actor, Message: asked.Reason}
	if err := t.Writer.Create(ctx, again); err != nil && !apierrors.IsAlreadyExists(err) {
		return store.Answer{}, fmt.Errorf("create CiBuild: %w", err)
	}
	return t.Rows.Record(ctx, asked, store.Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("CiBuild %s builds the same again", again.Name)})
}

// runsHere refuses to make a build that nobody would run.
func (t Target) runsHere(ctx context.Context, build *v1alpha1.CiBuild) error {
	pipeline := &v1alpha1.CiPipeline{}
	err := t.Live.Get(ctx, types.NamespacedName{Namespace: build.Namespace, Name: build.Spec.PipelineRef.Name}, pipeline)
	switch {
	case apierrors.IsNotFound(err):
		return request.Refuse("CiPipeline %s of CiBuild %s does not exist any more", build.Spec.PipelineRef.Name, build.Name)
	case err != nil:
		return fmt.Errorf("get CiPipeline: %w", err)
	case pipeline.Spec.Workflow == nil:
		return request.Refuse("CiPipeline %s has no spec.workflow: its builds run elsewhere, so start it again there", pipeline.Name)
	}
	return nil
}

// maxName is the longest name that a CiBuild may have.
const maxName = 253

func retryName(build string, asked store.Request) string {
	sum := sha256.Sum256([]byte(asked.Name + "/" + asked.SpecHash))
	suffix := "-" + hex.EncodeToString(sum[:4])
	return strings.TrimRight(build[:min(len(build), maxName-len(suffix))], "-.") + suffix
}
