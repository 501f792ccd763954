package baseimage

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// dependents are how many CiPipelines are built on each image, as counted then.
type dependents struct {
	at    time.Time
	count map[types.UID]int32
}

// countDependents counts the pipelines that are built on the images, now and then.
func (c *Checker) countDependents(ctx context.Context, images []v1alpha1.BaseImage) error {
	now := c.Now()
	if len(images) == 0 || now.Sub(c.dependents.at) < dependentsInterval {
		return nil
	}
	var pipelines v1alpha1.CiPipelineList
	if err := c.Cache.List(ctx, &pipelines, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list CiPipelines: %w", err)
	}
	c.dependents = dependents{at: now, count: dependentsOf(images, pipelines.Items)}
	return nil
}

func dependentsOf(images []v1alpha1.BaseImage, pipelines []v1alpha1.CiPipeline) map[types.UID]int32 {
	byName := make(map[types.NamespacedName]*v1alpha1.BaseImage, len(images))
	for i := range images {
		byName[client.ObjectKeyFromObject(&images[i])] = &images[i]
	}
	count := map[types.UID]int32{}
	for i := range pipelines {
		for _, key := range trigger.BaseImages(&pipelines[i]) {
			if image := byName[key]; image != nil && trigger.Allows(image, pipelines[i].Namespace) {
				count[image.UID]++
			}
		}
	}
	return count
}
