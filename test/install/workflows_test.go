package install

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

var madeTarget = regexp.MustCompile(`\bmake ([a-z][a-z -]*[a-z])`)

// No workflow runs here: they call what a desk calls, and that is what is looked at.
func TestWorkflowsCallTargetsThatTheMakefileHas(t *testing.T) {
	t.Parallel()
	makefile := read(t, root, "Makefile")
	paths, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	require.NoError(t, err)
	require.Len(t, paths, 5)
	calls := 0
	for _, path := range paths {
		var workflow struct {
			Permissions map[string]string
			Jobs        map[string]struct {
				TimeoutMinutes int `json:"timeout-minutes"`
				Steps          []struct{ Run string }
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(read(t, filepath.Dir(path), filepath.Base(path))), &workflow), path)
		require.Equal(t, map[string]string{"contents": "read"}, workflow.Permissions, "%s: a job that needs more says so itself", path)
		for name, job := range workflow.Jobs {
			require.NotZero(t, job.TimeoutMinutes, "%s, job %s", path, name)
			for _, step := range job.Steps {
				for _, match := range madeTarget.FindAllStringSubmatch(step.Run, -1) {
					for target := range strings.FieldsSeq(match[1]) {
						calls++
						require.Regexp(t, `(?m)^`+target+`:`, makefile, path)
					}
				}
			}
		}
	}
	require.Greater(t, calls, 8)
}
