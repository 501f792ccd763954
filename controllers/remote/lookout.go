package remote

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/loop"
)

// lookout tells from memory which templates that stages wait for exist in a cluster, so that who
// asks never waits for the cluster. It looks for those that are missing now and then.
type lookout struct {
	client.Reader // of what is there

	onFound func()
	wake    loop.Signal
	mu      sync.Mutex
	missing map[awaited]bool // whether the cluster has said so
	found   map[awaited]sighting
}

// sighting is a template that exists, and how long that is believed.
type sighting struct {
	template *unstructured.Unstructured
	until    time.Time
}

type awaited struct {
	kind string
	key  types.NamespacedName
}

func newLookout(there client.Reader, onFound func()) *lookout {
	return &lookout{Reader: there, onFound: onFound, missing: map[awaited]bool{}, found: map[awaited]sighting{}}
}

// Get implements client.Reader, for templates alone.
func (l *lookout) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	template, is := object.(*unstructured.Unstructured)
	if !is {
		return errors.New("remote: only templates are looked for")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	one := awaited{template.GetKind(), key}
	if found, has := l.found[one]; has && time.Now().Before(found.until) {
		found.template.DeepCopyInto(template)
		return nil
	}
	delete(l.found, one)
	if !l.missing[one] {
		l.missing[one] = false
		l.wake.Notify()
		return argo.ErrNotKnown
	}
	return apierrors.NewNotFound(schema.GroupResource{Group: wfv1.SchemeGroupVersion.Group, Resource: template.GetKind()}, key.Name)
}

// look asks the cluster for what is missing.
func (l *lookout) look(ctx context.Context) (time.Duration, error) {
	l.mu.Lock()
	missing := maps.Clone(l.missing)
	l.mu.Unlock()
	var errs []error
	for one := range missing {
		template := argo.Template(one.kind)
		err := l.Reader.Get(ctx, one.key, template)
		if apierrors.IsNotFound(err) {
			if l.isMissing(one) {
				l.onFound() // who waits is told that it does not exist
			}
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.mu.Lock()
		delete(l.missing, one)
		l.found[one] = sighting{template, time.Now().Add(idleTime)}
		l.mu.Unlock()
		l.onFound()
	}
	return 0, errors.Join(errs...)
}

// isMissing notes that the cluster does not have it, and tells whether that is new.
func (l *lookout) isMissing(one awaited) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	said := l.missing[one]
	l.missing[one] = true
	return !said
}
