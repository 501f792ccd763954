package delivery

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/registry"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=baseimages,verbs=list;watch

// check brings the checks forward of the base images that were pushed. It believes nothing that
// was sent but that there is something new: the registry itself is asked for the digest.
func (w *Worker) check(ctx context.Context, j job) (result, error) {
	var all v1alpha1.BaseImageList
	if err := w.Cache.List(ctx, &all, client.InNamespace(j.delivery.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return result{}, fmt.Errorf("list BaseImages: %w", err)
	}
	var names []string
	for i := range all.Items {
		base := &all.Items[i]
		image, err := registry.ParseImage(base.Spec.Image)
		if err != nil || !j.receiver.Spec.Concerns("BaseImage", base.Name) || !isPushed(image, j.event.Images) {
			continue
		}
		err = w.withRows(func() error {
			_, err := w.Checks.WantBaseImageChecks(ctx, j.delivery.Namespace, image.Repository, image.Tag)
			return err
		})
		if err != nil {
			return result{}, err
		}
		failpoint.Hit(failpoint.DeliveryAfterCheck)
		names = append(names, base.Name)
	}
	if len(names) == 0 {
		return noMatch("no BaseImage here is %s", j.event.Images[0]), nil
	}
	return result{CheckWanted, "CheckWanted " + list(names)}, nil
}

// isPushed tells whether a base image is among those that were pushed. A push without a tag may
// be of any, and one without a host of any registry.
func isPushed(base registry.Image, pushed []webhook.Image) bool {
	for _, image := range pushed {
		if image.Host == "docker.io" {
			image.Host = "index.docker.io" // as base images have it
		}
		isOfHost := image.Host == "" || image.Host == base.Registry
		isOfTag := image.Tag == "" || image.Tag == base.Tag
		if isOfHost && isOfTag && image.Repository == strings.TrimPrefix(base.Repository, base.Registry+"/") {
			return true
		}
	}
	return false
}
