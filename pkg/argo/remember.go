package argo

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rememberFor is how long a template that was read in another cluster is believed to be as it
// was: a watch of all templates there would cost more memory than the runs are worth.
const rememberFor = time.Minute

// maxRemembered bounds the templates that are remembered of one cluster.
const maxRemembered = 1000

// Templates reads templates, and remembers for a minute those that exist. One that does not is
// looked for each time. It is safe for concurrent use.
type Templates struct {
	client.Reader
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time

	mu     sync.Mutex
	known  map[templateID]remembered
	asking map[templateID]chan struct{} // closed when the answer is there
}

type templateID struct {
	kind string
	key  client.ObjectKey
}

type remembered struct {
	template *unstructured.Unstructured
	until    time.Time
}

// Get implements client.Reader.
func (t *Templates) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	template, is := object.(*unstructured.Unstructured)
	if !is {
		return t.Reader.Get(ctx, key, object, options...)
	}
	id := templateID{template.GetKind(), key}
	for {
		known, other := t.recallOrAsk(id)
		if known != nil {
			known.DeepCopyInto(template)
			return nil
		}
		if other == nil {
			return t.ask(ctx, id, template, options)
		}
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ask reads a template for all that wait for it.
func (t *Templates) ask(ctx context.Context, id templateID, template *unstructured.Unstructured, options []client.GetOption) error {
	defer t.asked(id)
	if err := t.Reader.Get(ctx, id.key, template, options...); err != nil {
		return err
	}
	if trimmed, err := TrimTemplate(template); err == nil {
		t.remember(id, trimmed.(*unstructured.Unstructured))
	}
	return nil
}

func (t *Templates) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}

// recallOrAsk returns the template where it is remembered, and else whom to wait for: each of
// several triggers at once would take a token for the same answer. Neither means that the caller
// asks, and calls asked.
func (t *Templates) recallOrAsk(id templateID) (known *unstructured.Unstructured, other chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, has := t.known[id]; has && t.now().Before(known.until) {
		return known.template, nil
	}
	if other := t.asking[id]; other != nil {
		return nil, other
	}
	if t.asking == nil {
		t.asking = map[templateID]chan struct{}{}
	}
	t.asking[id] = make(chan struct{})
	return nil, nil
}

func (t *Templates) asked(id templateID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.asking[id])
	delete(t.asking, id)
}

// remember forgets all where there are too many: they come back with the next triggers.
func (t *Templates) remember(id templateID, template *unstructured.Unstructured) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known) >= maxRemembered {
		t.known = map[templateID]remembered{}
	}
	t.known[id] = remembered{template, t.now().Add(rememberFor)}
}
