package plan

import (
	"context"
	"maps"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
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

// below is lookup.Below within the time that one read may take.
func (c *Config) below(ctx context.Context, namespace string, kind v1alpha1.ParentKind, name string) ([]v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return lookup.Below(ctx, c.Live, namespace, kind, name)
}

// chained knows, for one batch of ended stages, the pipelines below other pipelines.
type chained struct {
	config      *Config
	byNamespace map[string]map[string][]v1alpha1.CdPipeline // by parent
}

func newChained(config *Config) *chained {
	return &chained{config: config, byNamespace: map[string]map[string][]v1alpha1.CdPipeline{}}
}

// asked tells whether the API server had to be asked.
func (c *chained) asked() bool { return len(c.byNamespace) > 0 }

// prepare reads together what is below those runs of the batch that are about to end.
func (c *chained) prepare(ctx context.Context, batch []store.Ended) error {
	parents := map[string][]string{}
	for _, ended := range batch {
		if ended.Descends && !ended.UnderWay && len(ended.Later) == 0 {
			parents[ended.Namespace] = append(parents[ended.Namespace], ended.Pipeline)
		}
	}
	for namespace, names := range parents {
		if err := c.read(ctx, namespace, names); err != nil {
			return err
		}
	}
	return nil
}

// read adds what is below pipelines of a namespace.
func (c *chained) read(ctx context.Context, namespace string, parents []string) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	children, err := lookup.BelowEach(ctx, c.config.Live, namespace, parents)
	if err != nil {
		return err
	}
	known := c.byNamespace[namespace]
	if known == nil {
		c.byNamespace[namespace] = children
		return nil
	}
	maps.Copy(known, children)
	return nil
}

// of returns the family below a pipeline.
func (c *chained) of(ctx context.Context, namespace, pipeline string) (*family, error) {
	if _, known := c.byNamespace[namespace][pipeline]; !known {
		if err := c.read(ctx, namespace, []string{pipeline}); err != nil {
			return nil, err
		}
	}
	return &family{
		Family: lookup.NewFamily(ctx, c.config.Cache, namespace),
		kind:   v1alpha1.ParentCdPipeline, name: pipeline, direct: c.byNamespace[namespace][pipeline],
	}, nil
}
