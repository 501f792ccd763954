package lookup

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// byNameMost is up to how many parents of one namespace are asked for one by one. Beyond
	// that the namespace's chained pipelines are read once, for all of them.
	byNameMost = 8
	// pageSize is how many pipelines one answer has at most when a namespace is read.
	pageSize = 500
)

// Below lists the CdPipelines below one parent at the API server, by its own field index:
// the watch of CdPipelines may be behind the one that tells of their parent, and a child that
// the cache does not show yet would be lost.
func Below(ctx context.Context, live client.Reader, namespace string, kind v1alpha1.ParentKind, name string) ([]v1alpha1.CdPipeline, error) {
	var list v1alpha1.CdPipelineList
	err := live.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{
		"spec.parentRef.kind": string(kind), "spec.parentRef.name": name,
	})
	if err != nil {
		return nil, fmt.Errorf("list pipelines below %s %s: %w", kind, name, err)
	}
	return list.Items, nil
}

// BelowEach is Below for several CdPipelines of one namespace, by parent; each of them has an
// entry. A few are asked for one by one. For many the namespace is read once, in pages, and
// only what hangs below them is kept.
func BelowEach(ctx context.Context, live client.Reader, namespace string, parents []string) (map[string][]v1alpha1.CdPipeline, error) {
	children := make(map[string][]v1alpha1.CdPipeline, len(parents))
	for _, parent := range parents {
		children[parent] = nil
	}
	if len(children) > byNameMost {
		return children, addPages(ctx, live, namespace, children)
	}
	for parent := range children {
		list, err := Below(ctx, live, namespace, v1alpha1.ParentCdPipeline, parent)
		if err != nil {
			return nil, err
		}
		children[parent] = list
	}
	return children, nil
}

// addPages adds the namespace's chained pipelines to those parents that have an entry.
func addPages(ctx context.Context, live client.Reader, namespace string, children map[string][]v1alpha1.CdPipeline) error {
	var page v1alpha1.CdPipelineList
	for first := true; first || page.Continue != ""; first = false {
		token := page.Continue
		page = v1alpha1.CdPipelineList{}
		err := live.List(ctx, &page, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(token),
			client.MatchingFields{"spec.parentRef.kind": string(v1alpha1.ParentCdPipeline)})
		if err != nil {
			return fmt.Errorf("list chained pipelines: %w", err)
		}
		for i := range page.Items {
			parent := page.Items[i].Spec.ParentRef.Name
			if siblings, wanted := children[parent]; wanted {
				children[parent] = append(siblings, page.Items[i])
			}
		}
	}
	return nil
}
