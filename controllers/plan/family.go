package plan

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/lookup"
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

// below lists pipelines at the API server by its own field index: the watch of
// CdPipelines may be behind the one that tells of their parent, and a child that the
// cache does not show yet would be lost. An empty name is any parent of that kind.
func (c *Config) below(ctx context.Context, namespace string, kind v1alpha1.ParentKind, name string) ([]v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	fields := client.MatchingFields{"spec.parentRef.kind": string(kind)}
	if name != "" {
		fields["spec.parentRef.name"] = name
	}
	var list v1alpha1.CdPipelineList
	if err := c.Live.List(ctx, &list, client.InNamespace(namespace), fields); err != nil {
		return nil, fmt.Errorf("list pipelines below %s %s: %w", kind, name, err)
	}
	return list.Items, nil
}

// chained knows, for one batch of ended stages, the pipelines below other pipelines:
// one list for each namespace, however many stages have ended there.
type chained struct {
	config      *Config
	byNamespace map[string]map[string][]v1alpha1.CdPipeline // by parent
}

func newChained(config *Config) *chained {
	return &chained{config: config, byNamespace: map[string]map[string][]v1alpha1.CdPipeline{}}
}

// asked tells whether the API server had to be asked.
func (c *chained) asked() bool { return len(c.byNamespace) > 0 }

// of returns the family below a pipeline.
func (c *chained) of(ctx context.Context, namespace, pipeline string) (*family, error) {
	parents, known := c.byNamespace[namespace]
	if !known {
		list, err := c.config.below(ctx, namespace, v1alpha1.ParentCdPipeline, "")
		if err != nil {
			return nil, err
		}
		parents = map[string][]v1alpha1.CdPipeline{}
		for _, child := range list {
			parents[child.Spec.ParentRef.Name] = append(parents[child.Spec.ParentRef.Name], child)
		}
		c.byNamespace[namespace] = parents
	}
	return &family{
		Family: lookup.NewFamily(ctx, c.config.Cache, namespace),
		kind:   v1alpha1.ParentCdPipeline, name: pipeline, direct: parents[pipeline],
	}, nil
}
