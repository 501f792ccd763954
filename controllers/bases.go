package controllers

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// baseImagesOf returns what a pipeline is built on, as the rows know it: a status may be behind.
// What does not exist, or does not allow the pipeline, is left out.
func baseImagesOf(rows *store.Store) func(context.Context, client.Reader, *v1alpha1.CiPipeline) ([]argo.BaseImage, error) {
	return func(ctx context.Context, reader client.Reader, pipeline *v1alpha1.CiPipeline) ([]argo.BaseImage, error) {
		names := trigger.BaseImages(pipeline)
		known, err := rows.NamedBaseImages(ctx, names)
		if err != nil {
			return nil, err
		}
		var list []argo.BaseImage
		for _, name := range names {
			image := &v1alpha1.BaseImage{}
			err := reader.Get(ctx, name, image)
			if client.IgnoreNotFound(err) != nil {
				return nil, err
			}
			if row, exists := known[name]; err == nil && exists && row.Digest != "" && trigger.Allows(image, pipeline.Namespace) {
				list = append(list, argo.BaseImage{Name: name.Name, Image: row.Image, Digest: row.Digest})
			}
		}
		return list, nil
	}
}
