package install

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// schema is the part of a JSON schema that says which values there are.
type schema struct {
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties *bool             `json:"additionalProperties"`
}

func TestTheSchemaKnowsExactlyTheDocumentedValues(t *testing.T) {
	t.Parallel()
	inSchema := readSchema(t)
	delete(inSchema.Properties, "global") // which Helm itself gives to each chart
	known := map[string]string{}
	describe(t, "", inSchema, known)
	documented := commentsOf(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(documented)), slices.Collect(maps.Keys(known)))
	for path, comment := range documented {
		require.NotEmpty(t, comment, "values.yaml describes %s", path)
		require.Equal(t, comment, known[path], "values.schema.json describes %s as values.yaml does", path)
	}
}

func TestTemplatesUseEveryValueAndNoOther(t *testing.T) {
	t.Parallel()
	documented, used := commentsOf(t), usedValues(t)
	for path := range used {
		require.Contains(t, documented, path, "templates use it, and values.yaml does not have it")
	}
	for path := range documented {
		require.True(t, used[path], "%s is in values.yaml, and no template uses it", path)
	}
}

func readSchema(t *testing.T) (read schema) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &read))
	return read
}

// describe collects the descriptions of the schema's leaves, and fails where an object takes
// what it does not know.
func describe(t *testing.T, prefix string, of schema, into map[string]string) {
	t.Helper()
	require.NotNil(t, of.AdditionalProperties, "additionalProperties of %q", prefix)
	require.False(t, *of.AdditionalProperties, "additionalProperties of %q", prefix)
	for name, property := range of.Properties {
		if path := prefix + name; property.Properties == nil {
			into[path] = property.Description
		} else {
			describe(t, path+".", property, into)
		}
	}
}

// open are the values whose keys users choose, so that no template names them.
var open = []string{
	"commonLabels", "env", "server.env", "resources", "server.resources", "postgres.resources", "nodeSelector", "affinity", "podLabels", "podAnnotations",
	"serviceAccount.annotations", "server.serviceAccount.annotations", "webhooks.ingress.annotations", "server.ingress.annotations", "monitoring.labels",
	"monitoring.dashboard.labels",
}

var key = regexp.MustCompile(`^( *)([A-Za-z]+):`)

// commentsOf are the leaves of values.yaml with the comment above each.
func commentsOf(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	require.NoError(t, err)
	leaves := map[string]string{}
	leavesOf(t, string(text), leaves)
	comments := map[string]string{}
	var path, comment []string
	for line := range strings.Lines(string(text)) {
		trimmed := strings.TrimSpace(line)
		if text, isComment := strings.CutPrefix(trimmed, "#"); isComment {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		if match := key.FindStringSubmatch(line); match != nil {
			path = append(path[:len(match[1])/2], match[2])
			if _, isLeaf := leaves[strings.Join(path, ".")]; isLeaf {
				comments[strings.Join(path, ".")] = strings.Join(comment, " ")
			}
		}
		comment = nil
	}
	return comments
}

func leavesOf(t *testing.T, text string, into map[string]string) {
	t.Helper()
	var values map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &values))
	var walk func(prefix string, values map[string]any)
	walk = func(prefix string, values map[string]any) {
		for name, value := range values {
			path := prefix + name
			if section, isSection := value.(map[string]any); isSection && !slices.Contains(open, path) {
				walk(path+".", section)
			} else {
				into[path] = ""
			}
		}
	}
	walk("", values)
}

var (
	reference = regexp.MustCompile(`\.Values((?:\.[A-Za-z]+)+)`)
	within    = regexp.MustCompile(`\{\{-? with (?:\$?\.root|\$)?\.Values((?:\.[A-Za-z]+)+) -?\}\}`)
	field     = regexp.MustCompile(`[ (]\.([a-z][A-Za-z]*)`)
)

// usedValues are the values that templates name, also as fields within a section.
func usedValues(t *testing.T) map[string]bool {
	t.Helper()
	documented := commentsOf(t)
	used := map[string]bool{}
	use := func(path string) {
		for known := range documented {
			if known == path {
				used[path] = true
				return
			}
		}
		if !isSection(documented, path) {
			used[path] = true // which values.yaml does not have
		}
	}
	err := fs.WalkDir(os.DirFS(filepath.Join(chart, "templates")), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(chart, "templates", name))
		if err != nil {
			return err
		}
		for _, match := range reference.FindAllStringSubmatch(string(text), -1) {
			use(strings.TrimPrefix(match[1], "."))
		}
		for _, section := range sectionsOf(string(text), documented) {
			use(section)
		}
		return nil
	})
	require.NoError(t, err)
	return used
}

// sectionsOf are the values that a template reads by the name of their section: within a
// `with`, and in the template of Ingresses.
func sectionsOf(text string, documented map[string]string) (paths []string) {
	sections := []string{}
	for _, match := range within.FindAllStringSubmatch(text, -1) {
		sections = append(sections, strings.TrimPrefix(match[1], "."))
	}
	for _, match := range regexp.MustCompile(`"ingress" \.Values((?:\.[A-Za-z]+)+)`).FindAllStringSubmatch(text, -1) {
		sections = append(sections, strings.TrimPrefix(match[1], "."))
		text = strings.ReplaceAll(text, ".ingress.", ".")
	}
	for _, section := range sections {
		for _, match := range field.FindAllStringSubmatch(text, -1) {
			if path := section + "." + match[1]; isKnown(documented, path) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

func isKnown(documented map[string]string, path string) bool {
	_, known := documented[path]
	return known
}

// isSection tells whether values are below the path.
func isSection(documented map[string]string, path string) bool {
	for known := range documented {
		if strings.HasPrefix(known, path+".") {
			return true
		}
	}
	return false
}
