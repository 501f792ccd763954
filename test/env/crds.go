package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// crdTimeout bounds how long the API server may take to serve new kinds.
const crdTimeout = time.Minute

// InstallCRDs creates Penstock's CRDs, from config/crd/bases, and Argo's, and
// returns when the API server serves them. It is an error when one is there
// already.
func InstallCRDs(ctx context.Context, config *rest.Config) error {
	crds, err := readCRDs()
	if err != nil {
		return err
	}
	client, err := apiextensions.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, crd := range crds {
		if _, err := client.ApiextensionsV1().CustomResourceDefinitions().Create(ctx, crd, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create crd: %w", err)
		}
	}
	for _, crd := range crds {
		if err := awaitServed(ctx, client, crd); err != nil {
			return fmt.Errorf("crd %s is not served: %w", crd.Name, err)
		}
	}
	return nil
}

func readCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	argo, err := Part("argo-crds")
	if err != nil {
		return nil, err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, dir := range []string{filepath.Join(root, "config", "crd", "bases"), argo} {
		found, err := readCRDFiles(dir)
		if err != nil {
			return nil, fmt.Errorf("read crds: %w", err)
		}
		crds = append(crds, found...)
	}
	return crds, nil
}

// readCRDFiles reads a directory's files, each of which is one CRD.
func readCRDFiles(dir string) ([]*apiextensionsv1.CustomResourceDefinition, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s has none", dir)
	}
	crds := make([]*apiextensionsv1.CustomResourceDefinition, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		crds[i] = &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, crds[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return crds, nil
}

// awaitServed waits until discovery tells of the kind, which is the last thing
// that happens to it.
func awaitServed(ctx context.Context, client apiextensions.Interface, crd *apiextensionsv1.CustomResourceDefinition) error {
	version := crd.Spec.Group + "/" + crd.Spec.Versions[0].Name
	last := errors.New("discovery does not tell of it")
	err := wait.PollUntilContextTimeout(ctx, readyInterval, crdTimeout, true, func(context.Context) (bool, error) {
		resources, err := client.Discovery().ServerResourcesForGroupVersion(version)
		if err != nil {
			last = err
			return false, nil //nolint:nilerr // asked again until the timeout, which tells of it
		}
		return slices.ContainsFunc(resources.APIResources, func(r metav1.APIResource) bool {
			return r.Name == crd.Spec.Names.Plural
		}), nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
