package v1alpha1_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// root is the repository, seen from this package.
var root = filepath.Join("..", "..")

func TestTheSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Client = client.WithFieldValidation(p.Client, metav1.FieldValidationStrict)
	for _, name := range []string{"templates.yaml", "pipelines.yaml", "build.yaml", "builds.yaml", "request.yaml", "targetcluster.yaml", "notification.yaml", "baseimage.yaml", "receiver.yaml"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, object := range objectsIn(t, filepath.Join(root, "config", "samples", name)) {
				require.NoError(t, p.create(t, object))
			}
		})
	}
}

// objectsIn are the documents of a YAML file.
func objectsIn(t *testing.T, path string) (objects []*unstructured.Unstructured) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, objects, path)
			return objects
		}
		require.NoError(t, err, path)
		objects = append(objects, object)
	}
}
