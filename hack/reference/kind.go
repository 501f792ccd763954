package main

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// kind is one CustomResourceDefinition.
type kind struct {
	apiextensionsv1.CustomResourceDefinition
}

// readKinds reads the definitions, in the order of their files.
func readKinds(files fs.FS) ([]kind, error) {
	names, err := fs.Glob(files, "bases/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the definitions: %w", err)
	}
	var kinds []kind
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read a definition: %w", err)
		}
		var one kind
		if err := yaml.UnmarshalStrict(text, &one.CustomResourceDefinition); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		kinds = append(kinds, one)
	}
	return kinds, nil
}

func (k kind) name() string { return k.Spec.Names.Kind }
func (k kind) path() string { return path.Join("reference", strings.ToLower(k.name())+".md") }

// version is the one that is stored; Penstock has no other.
func (k kind) version() apiextensionsv1.CustomResourceDefinitionVersion { return k.Spec.Versions[0] }

func (k kind) schema() apiextensionsv1.JSONSchemaProps { return *k.version().Schema.OpenAPIV3Schema }

// page is the whole reference of the kind.
func (k kind) page() string {
	var text strings.Builder
	schema := k.schema()
	fmt.Fprintf(&text, "# %s\n\n%s\n\n", k.name(), paragraph(schema.Description))
	fmt.Fprintf(&text, "`apiVersion: %s/%s`, `kind: %s`. %s. For kubectl: %s.\n", k.Spec.Group, k.version().Name, k.name(), k.scope(), k.kubectlNames())
	if refusals := refusals(schema); refusals != "" {
		fmt.Fprintf(&text, "\n%s\n", refusals)
	}
	described := map[string]string{}
	for _, part := range []string{"spec", "status"} {
		fmt.Fprintf(&text, "\n## %s\n\n", part)
		text.WriteString(fieldTable(part, schema.Properties[part], described))
	}
	text.WriteString("\n## Columns of kubectl get\n\n| column | shows | |\n|---|---|---|\n")
	for _, column := range k.version().AdditionalPrinterColumns {
		wide := ""
		if column.Priority > 0 {
			wide = "with `-o wide`"
		}
		fmt.Fprintf(&text, "| %s | `%s` | %s |\n", column.Name, column.JSONPath, wide)
	}
	return text.String()
}

func (k kind) scope() string {
	if k.Spec.Scope == apiextensionsv1.ClusterScoped {
		return "In no namespace"
	}
	return "In a namespace"
}

func (k kind) kubectlNames() string {
	names := append([]string{k.Spec.Names.Plural}, k.Spec.Names.ShortNames...)
	return "`" + strings.Join(names, "`, `") + "`"
}

// indexPage names every page that is written from the sources.
func indexPage(kinds []kind) string {
	var text strings.Builder
	text.WriteString("# Reference\n\nThese pages are written from the sources. `kubectl explain` shows the fields too; [Concepts](concepts.md) tells what they are for.\n\n| kind | is |\n|---|---|\n")
	for _, kind := range kinds {
		fmt.Fprintf(&text, "| [%s](%s) | %s |\n", kind.name(), kind.path(), cell(paragraph(kind.schema().Description)))
	}
	text.WriteString(`
Beside the kinds:

- [Conditions and reasons](reference/conditions.md)
- [Environment variables](reference/variables.md) of the controller and the server
- [Commands of the plugin](commands.md)
- [HTTP API](api.md), whose OpenAPI document the server serves
- [Metrics](metrics.md), and the [values of the chart](../charts/penstock/values.yaml)
`)
	return text.String()
}
