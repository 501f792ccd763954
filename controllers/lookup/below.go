package lookup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	// byNameMost is up to how many parents of one namespace are asked for one by one. Beyond
	// that the namespace's chained pipelines are read once, for all of them.
	byNameMost = 8
	// pageSize is how many pipelines one answer has at most when a namespace is read.
	pageSize = 500
	// requestTimeout bounds one request, waiting for its token included: one that gets no
	// answer costs what others wait for no more than that.
	requestTimeout = 5 * time.Second
)

// Listed are the CdPipelines below one parent, or why they could not be read.
type Listed = bounded.Result[[]v1alpha1.CdPipeline]

// Below lists the CdPipelines below one parent at the API server, by its own field index:
// the watch of CdPipelines may be behind the one that tells of their parent, and a child that
// the cache does not show yet would be lost. They keep the annotations, which say who holds them.
// The list has no limit, with which the API server might read the whole namespace from etcd.
func Below(ctx context.Context, live client.Reader, namespace string, kind v1alpha1.ParentKind, name string) ([]v1alpha1.CdPipeline, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var list v1alpha1.CdPipelineList
	err := live.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{
		"spec.parentRef.kind": string(kind), "spec.parentRef.name": name,
	})
	if err != nil {
		return nil, fmt.Errorf("list pipelines below %s %s: %w", kind, name, err)
	}
	for i := range list.Items {
		dropUnread(&list.Items[i])
	}
	return list.Items, nil
}

// dropUnread drops what is half of a pipeline as the API server tells it, and what nobody reads.
func dropUnread(pipeline *v1alpha1.CdPipeline) {
	pipeline.ManagedFields = nil
	delete(pipeline.Annotations, corev1.LastAppliedConfigAnnotation)
}

// BelowEach is Below for several CdPipelines of one namespace, by parent; each of them has an
// entry, and one that can't be read costs the others nothing. A few are asked for one by one,
// at the same time. For many the namespace is read once, in pages, and only what hangs below
// them is kept.
func BelowEach(ctx context.Context, live client.Reader, namespace string, parents []string) map[string]Listed {
	children := make(map[string]Listed, len(parents))
	for _, parent := range parents {
		children[parent] = Listed{}
	}
	parents = slices.Collect(maps.Keys(children))
	if len(parents) > byNameMost {
		if err := addPages(ctx, live, namespace, children); err != nil {
			for _, parent := range parents {
				children[parent] = Listed{Err: err}
			}
		}
		return children
	}
	results := bounded.Map(ctx, byNameMost, 0, parents, func(ctx context.Context, parent string) ([]v1alpha1.CdPipeline, error) {
		return Below(ctx, live, namespace, v1alpha1.ParentCdPipeline, parent)
	})
	for i, parent := range parents {
		children[parent] = results[i]
	}
	return children
}

// addPages adds the namespace's chained pipelines to those parents that have an entry.
func addPages(ctx context.Context, live client.Reader, namespace string, children map[string]Listed) error {
	var page v1alpha1.CdPipelineList
	for first := true; first || page.Continue != ""; first = false {
		token := page.Continue
		page = v1alpha1.CdPipelineList{}
		if err := readPage(ctx, live, namespace, token, &page); err != nil {
			return err
		}
		for i := range page.Items {
			parent := page.Items[i].Spec.ParentRef.Name
			if siblings, wanted := children[parent]; wanted {
				children[parent] = Listed{Value: append(siblings.Value, page.Items[i])}
			}
		}
	}
	return nil
}

func readPage(ctx context.Context, live client.Reader, namespace, token string, page *v1alpha1.CdPipelineList) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	err := live.List(ctx, page, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(token),
		client.MatchingFields{"spec.parentRef.kind": string(v1alpha1.ParentCdPipeline)})
	if err != nil {
		return fmt.Errorf("list chained pipelines: %w", err)
	}
	return nil
}
