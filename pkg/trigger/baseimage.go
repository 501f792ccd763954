package trigger

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// allNamespaces stands for every namespace in a BaseImage's allowedNamespaces.
const allNamespaces = "*"

// BaseImages are the BaseImages that a CiPipeline names, each once. Whether they exist, and
// allow it, is another question.
func BaseImages(pipeline *v1alpha1.CiPipeline) []types.NamespacedName {
	var keys []types.NamespacedName
	for _, reference := range pipeline.Spec.BaseImages {
		key := types.NamespacedName{Namespace: cmp.Or(reference.Namespace, pipeline.Namespace), Name: reference.Name}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// Allows tells whether CiPipelines of a namespace may be built on a BaseImage.
func Allows(image *v1alpha1.BaseImage, namespace string) bool {
	return namespace == image.Namespace || slices.Contains(image.Spec.AllowedNamespaces, allNamespaces) ||
		slices.Contains(image.Spec.AllowedNamespaces, namespace)
}
