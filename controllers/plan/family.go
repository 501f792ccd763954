package plan

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/store"
)

// readTimeout bounds one read at the API server, waiting for its token bucket
// included.
const readTimeout = 15 * time.Second

// family is the pipelines below a parent: the direct ones as the API server has them
// now, those further below from the cache.
type family struct {
	*lookup.Family
	kind   v1alpha1.ParentKind
	name   string
	direct []v1alpha1.CdPipeline
}

// Of returns the pipelines below (kind, name).
func (f *family) Of(kind v1alpha1.ParentKind, name string) []v1alpha1.CdPipeline {
	if kind == f.kind && name == f.name {
		return f.direct
	}
	return f.Family.Of(kind, name)
}

// namespacesAtOnce is of how many namespaces the pipelines below others are read at once.
const namespacesAtOnce = 4

// chained knows, for one batch of ended stages, the pipelines below other pipelines.
type chained struct {
	config      *Config
	byNamespace map[string]map[string]lookup.Listed // by parent
}

func newChained(config *Config) *chained {
	return &chained{config: config, byNamespace: map[string]map[string]lookup.Listed{}}
}

// asked tells whether the API server had to be asked.
func (c *chained) asked() bool { return len(c.byNamespace) > 0 }

// prepare reads together what is below those runs of the batch that are about to end. For a
// pipeline whose list failed, of returns that error.
func (c *chained) prepare(ctx context.Context, batch []store.Ended) {
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	parents := map[string][]string{}
	for _, ended := range batch {
		if ended.Descends && !ended.UnderWay && len(ended.Later) == 0 {
			parents[ended.Namespace] = append(parents[ended.Namespace], ended.Pipeline)
		}
	}
	namespaces := slices.Collect(maps.Keys(parents))
	results := bounded.Map(ctx, namespacesAtOnce, 0, namespaces, func(ctx context.Context, namespace string) (map[string]lookup.Listed, error) {
		return lookup.BelowEach(ctx, c.config.Live, namespace, parents[namespace]), nil
	})
	for i, namespace := range namespaces {
		if results[i].Err == nil { // else the time is over, and of asks again
			c.byNamespace[namespace] = results[i].Value
		}
	}
}

// of returns the family below a pipeline.
func (c *chained) of(ctx context.Context, namespace, pipeline string) (*family, error) {
	if c.byNamespace[namespace] == nil {
		c.byNamespace[namespace] = map[string]lookup.Listed{}
	}
	children, known := c.byNamespace[namespace][pipeline]
	if !known {
		children = lookup.BelowEach(ctx, c.config.Live, namespace, []string{pipeline})[pipeline]
		c.byNamespace[namespace][pipeline] = children
	}
	if children.Err != nil {
		return nil, children.Err
	}
	return &family{
		Family: lookup.NewFamily(ctx, c.config.Cache, namespace),
		kind:   v1alpha1.ParentCdPipeline, name: pipeline, direct: children.Value,
	}, nil
}
