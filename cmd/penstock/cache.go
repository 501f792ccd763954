package main

import (
	"context"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/penstock-cd/penstock/pkg/argo"
)

// syncInterval is how often the cache is asked whether it is complete.
const syncInterval = 100 * time.Millisecond

// patientCache is a cache that waits for no kind which the cluster lacks, or which
// Penstock may not watch: what needs that kind gets the reason as an error, at once, and
// everything else works.
type patientCache struct {
	cache.Cache
	// unreadable returns why a resource can't be watched, or nil.
	unreadable func(schema.GroupResource) error
	// namespacedOnly tells that kinds without a namespace are not read.
	namespacedOnly bool

	mu        sync.Mutex
	informers map[schema.GroupVersionKind]cache.Informer
}

func newPatientCache(inner cache.Cache, unreadable func(schema.GroupResource) error, namespacedOnly bool) *patientCache {
	return &patientCache{Cache: inner, unreadable: unreadable, namespacedOnly: namespacedOnly, informers: map[schema.GroupVersionKind]cache.Informer{}}
}

// GetInformer implements cache.Informers.
func (c *patientCache) GetInformer(ctx context.Context, object client.Object, options ...cache.InformerGetOption) (cache.Informer, error) {
	kind, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		return nil, err
	}
	if c.namespacedOnly && hasNoNamespace(kind) {
		// It never runs, so that it asks the API server for nothing.
		return toolscache.NewSharedIndexInformer(&toolscache.ListWatch{}, object, 0, toolscache.Indexers{}), nil
	}
	informer, err := c.Cache.GetInformer(ctx, object, options...)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.informers[kind] = informer
	return informer, nil
}

// hasNoNamespace tells it of the kinds that Penstock reads.
func hasNoNamespace(kind schema.GroupVersionKind) bool {
	return kind.Kind == "TargetCluster" || kind.Kind == argo.KindClusterTemplate
}

// IndexField implements client.FieldIndexer.
func (c *patientCache) IndexField(ctx context.Context, object client.Object, field string, value client.IndexerFunc) error {
	if _, err := c.GetInformer(ctx, object); err != nil {
		return err
	}
	return c.Cache.IndexField(ctx, object, field, value)
}

// WaitForCacheSync implements cache.Informers.
func (c *patientCache) WaitForCacheSync(ctx context.Context) bool {
	err := wait.PollUntilContextCancel(ctx, syncInterval, true, func(context.Context) (bool, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for kind, informer := range c.informers {
			if !informer.HasSynced() && c.why(kind) == nil {
				return false, nil
			}
		}
		return true, nil
	})
	return err == nil
}

// Get implements client.Reader.
func (c *patientCache) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := c.whyNot(object); err != nil {
		return err
	}
	return c.Cache.Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (c *patientCache) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if err := c.whyNot(list); err != nil {
		return err
	}
	return c.Cache.List(ctx, list, options...)
}

// whyNot returns why an object, or a list, can't be read, where nothing of its kind is in
// the cache.
func (c *patientCache) whyNot(object any) error {
	kind, err := kindOf(object)
	if err != nil {
		return err
	}
	why := c.why(kind)
	if why == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if informer := c.informers[kind]; informer != nil && informer.HasSynced() {
		return nil // what was read before the right was taken away is better than nothing
	}
	return why
}

func (c *patientCache) why(kind schema.GroupVersionKind) error {
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return c.unreadable(resource.GroupResource())
}

func kindOf(object any) (schema.GroupVersionKind, error) {
	if list, ok := object.(client.ObjectList); ok {
		kind, err := apiutil.GVKForObject(list, scheme)
		kind.Kind = strings.TrimSuffix(kind.Kind, "List")
		return kind, err
	}
	return apiutil.GVKForObject(object.(client.Object), scheme)
}
