package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The demo applies config/samples into its namespace, and creates its own objects beside them.
func TestNoSampleHasTheNameOfWhatTheDemoCreates(t *testing.T) {
	t.Parallel()
	own := map[string]bool{
		ciPipeline: true, buildName: true, cart: true, cartStaging: true, cartProduction: true, baseImage: true, buildTemplate: true, website: true,
		mug: true, mugStaging: true, pushes: true, cartBuild(1): true, cartBuild(2): true, cartBuild(3): true,
	}
	for _, child := range children() {
		own[child.Name] = true
	}
	files, err := filepath.Glob("../../config/samples/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		for _, name := range namesIn(t, path) {
			require.False(t, own[name], "%s holds %s", path, name)
		}
	}
}

func namesIn(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	documents := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		var object metav1.PartialObjectMetadata
		err := documents.Decode(&object)
		if errors.Is(err, io.EOF) {
			return names
		}
		require.NoError(t, err)
		names = append(names, object.Name)
	}
}
