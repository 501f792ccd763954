package simulate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/simulate"
)

const valid = `# The pipelines of app.
apiVersion: penstock.dev/v1alpha1
kind: CiPipeline
metadata: {name: app}
spec: {}
---
apiVersion: penstock.dev/v1alpha1
kind: CdPipeline
metadata: {name: staging, labels: {team: a}}
spec:
  parentRef: {kind: CiPipeline, name: app}
  deploy: {workflow: {templateRef: {name: deploy}}, timeout: 10m}
---
apiVersion: argoproj.io/v1alpha1
kind: WorkflowTemplate
metadata: {name: deploy}
spec: {whatever: it has}
---
apiVersion: penstock.dev/v1alpha1
kind: CiBuild
metadata: {name: app-1}
spec: {pipelineRef: {name: app}, revision: main}
`

// written is a file with this text.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestObjectsAreReadFromFilesAndFolders(t *testing.T) {
	t.Parallel()
	file := written(t, "app.yaml", valid)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "README.md"), []byte("kind: {"), 0o600))
	for _, path := range []string{file, filepath.Dir(file)} {
		objects, err := simulate.Read([]string{path})
		require.NoError(t, err)
		require.Len(t, objects.CiPipelines, 1)
		require.Len(t, objects.CdPipelines, 1)
		require.Len(t, objects.Builds, 1)
		require.Equal(t, "staging", objects.CdPipelines[0].Name)
	}
	_, err := simulate.Read([]string{filepath.Join(filepath.Dir(file), "missing.yaml")})
	require.ErrorContains(t, err, "missing.yaml")
}

func TestObjectsAreReadFromTheStandardInput(t *testing.T) { //nolint:paralleltest // there is one standard input
	before := os.Stdin
	given, err := os.Open(written(t, "app.yaml", valid))
	require.NoError(t, err)
	t.Cleanup(func() {
		os.Stdin = before
		require.NoError(t, given.Close())
	})
	os.Stdin = given
	objects, err := simulate.Read([]string{"-"})
	require.NoError(t, err)
	require.Len(t, objects.CdPipelines, 1)
}

func TestWhatIsNotValidIsToldByFileAndField(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: penstock.dev/v1alpha1\nkind: CdPipeline\nmetadata: {name: web}\nspec:\n  deploy: {workflow: {templateRef: {name: deploy}}}\n"
	for sentence, tc := range map[string]struct{ text, want string }{
		"a value that is not allowed":   {head + "  parentRef: {kind: Pipeline, name: app}\n", "document 1: CdPipeline web: spec.parentRef.kind in body should be one of [CiPipeline CdPipeline]"},
		"a field that is missing":       {head + "  parentRef: {kind: CiPipeline}\n", "CdPipeline web: spec.parentRef.name in body is required"},
		"a field that does not exist":   {head + "  parentRef: {kind: CiPipeline, name: app}\n  suspended: true\n", `CdPipeline web: unknown field "spec.suspended"`},
		"a value of another type":       {head + "  parentRef: {kind: CiPipeline, name: app}\n  suspend: maybe\n", `CdPipeline web: spec.suspend in body must be of type boolean: "string"`},
		"a field that is there twice":   {head + "  parentRef: {kind: CiPipeline, name: app}\n  suspend: true\n  suspend: true\n", "not YAML or JSON"},
		"a duration that is none":       {head + "  parentRef: {kind: CiPipeline, name: app}\n  postDeploy: {workflow: {templateRef: {name: x}}, timeout: soon}\n", "soon"},
		"an object without a name":      {"apiVersion: penstock.dev/v1alpha1\nkind: CiPipeline\nspec: {}\n", "metadata.name in body is required"},
		"text that is no YAML":          {"kind: {\n", "not YAML or JSON"},
		"the second of three documents": {valid + "---\n" + head + "  parentRef: {kind: CiPipeline}\n", "document 5: CdPipeline web"},
	} {
		path := written(t, "bad.yaml", tc.text)
		_, err := simulate.Read([]string{path})
		var invalid *simulate.InvalidError
		require.ErrorAs(t, err, &invalid, sentence)
		require.ErrorContains(t, err, path+", document", sentence)
		require.ErrorContains(t, err, tc.want, sentence)
	}
}
