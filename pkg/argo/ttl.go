package argo

import (
	"context"
	"fmt"
	"sync"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// maxTemplates bounds for how many templates it is remembered whether they set a
// ttlStrategy: beyond it all are read again.
const maxTemplates = 10_000

// TTL gives a Workflow a ttlStrategy where its template sets none. A Workflow's own would
// replace the template's as a whole (Argo's GetTTLStrategy), so that it has to be known
// whether there is one: a template is read once for each of its versions. It is safe for
// concurrent use; nil does nothing.
type TTL struct {
	after int32 // seconds
	live  client.Reader

	mu    sync.Mutex
	known map[templateID]templateTTL
}

// templateID names a template.
type templateID struct {
	kind string
	key  types.NamespacedName
}

// templateTTL tells of one version of a template whether it sets a ttlStrategy.
type templateTTL struct {
	uid     types.UID
	version string
	sets    bool
}

// NewTTL returns a TTL of whole seconds that reads templates live, or nil where it is off.
func NewTTL(after time.Duration, live client.Reader) *TTL {
	if after <= 0 {
		return nil
	}
	seconds := int32(after / time.Second) //nolint:gosec // pkg/config bounds it at ten years
	return &TTL{after: seconds, live: live, known: map[templateID]templateTTL{}}
}

// apply sets the Workflow's ttlStrategy, unless its template does. The reader tells of the
// template's version.
func (t *TTL) apply(ctx context.Context, reader client.Reader, workflow *wfv1.Workflow, ref v1alpha1.TemplateReference) error {
	if t == nil {
		return nil
	}
	sets, err := t.isSetBy(ctx, reader, workflow.Namespace, ref)
	if apierrors.IsNotFound(err) {
		return held(missingTemplate(workflow.Namespace, ref))
	}
	if err != nil {
		return err
	}
	if !sets {
		workflow.Spec.TTLStrategy = &wfv1.TTLStrategy{SecondsAfterCompletion: ptr.To(t.after)}
	}
	return nil
}

// isSetBy tells whether the template sets a ttlStrategy.
func (t *TTL) isSetBy(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.TemplateReference) (bool, error) {
	kind, key := TemplateKey(namespace, ref)
	id, seen := templateID{kind, key}, Template(kind)
	if err := reader.Get(ctx, key, seen); err != nil {
		return false, fmt.Errorf("get %s: %w", kind, err)
	}
	if known, ok := t.recall(id); ok && known.uid == seen.UID && known.version == seen.ResourceVersion {
		return known.sets, nil
	}
	// Not typed: what Argo can read but this version of its types can't is no reason to fail.
	template := &unstructured.Unstructured{}
	template.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind(kind))
	if err := t.live.Get(ctx, key, template); err != nil {
		return false, fmt.Errorf("get %s: %w", kind, err)
	}
	strategy, _, _ := unstructured.NestedFieldNoCopy(template.Object, "spec", "ttlStrategy")
	t.remember(id, templateTTL{template.GetUID(), template.GetResourceVersion(), strategy != nil})
	return strategy != nil, nil
}

func (t *TTL) recall(id templateID) (templateTTL, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, ok := t.known[id]
	return known, ok
}

func (t *TTL) remember(id templateID, known templateTTL) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= maxTemplates {
		clear(t.known)
	}
	t.known[id] = known
}
