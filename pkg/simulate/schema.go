package simulate

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"sync"

	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/config/crd"
)

// definition is what is read of a CustomResourceDefinition.
type definition struct {
	Spec struct {
		Names    struct{ Kind string }
		Versions []struct {
			Name   string
			Schema struct{ OpenAPIV3Schema json.RawMessage }
		}
	}
}

// schemas are those of every kind, by kind.
var schemas = sync.OnceValues(func() (map[string]*spec.Schema, error) {
	files, err := fs.Glob(crd.Bases, "bases/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	all := map[string]*spec.Schema{}
	for _, file := range files {
		text, err := crd.Bases.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read definition: %w", err)
		}
		var defined definition
		if err := yaml.Unmarshal(text, &defined); err != nil {
			return nil, fmt.Errorf("read definition %s: %w", file, err)
		}
		for _, version := range defined.Spec.Versions {
			if version.Name != v1alpha1.GroupVersion.Version {
				continue
			}
			schema := &spec.Schema{}
			if err := json.Unmarshal(version.Schema.OpenAPIV3Schema, schema); err != nil {
				return nil, fmt.Errorf("read schema of %s: %w", defined.Spec.Names.Kind, err)
			}
			all[defined.Spec.Names.Kind] = schema
		}
	}
	return all, nil
})

// invalid returns what the schema of a kind refuses in an object, each with its field. The rules
// in CEL are the API server's alone.
func invalid(kind string, object map[string]any) ([]string, error) {
	all, err := schemas()
	if err != nil {
		return nil, err
	}
	var told []string
	result := validate.NewSchemaValidator(all[kind], nil, "", strfmt.Default).Validate(object)
	for _, one := range result.Errors {
		told = append(told, one.Error())
	}
	return told, nil
}
