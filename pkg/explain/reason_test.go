package explain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
)

// reasonsOf are the constants of api/v1alpha1/conditions.go in the groups that begin so.
func reasonsOf(t *testing.T, groups ...string) (found []v1alpha1.Reason) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, parser.ParseComments)
	require.NoError(t, err)
	for _, declared := range file.Decls {
		group, isGroup := declared.(*ast.GenDecl)
		if !isGroup || group.Tok != token.CONST {
			continue
		}
		for _, begin := range groups {
			if !strings.HasPrefix(group.Doc.Text(), begin) {
				continue
			}
			for _, spec := range group.Specs {
				value, isText := spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit)
				require.True(t, isText)
				name, err := strconv.Unquote(value.Value)
				require.NoError(t, err)
				found = append(found, v1alpha1.Reason(name))
			}
		}
	}
	return found
}

func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	explained := map[v1alpha1.Reason]bool{
		v1alpha1.ReasonAdopted: true, v1alpha1.ReasonWorkflowRetried: true, // of tasks that go on: nothing is waited for
	}
	for _, reason := range explain.Reasons() {
		explained[reason.Name] = true
		require.NotEmpty(t, reason.Meaning, reason.Name)
		require.False(t, strings.HasSuffix(reason.Meaning, ".") || strings.HasSuffix(reason.Remedy, "."), "%s is a clause", reason.Name)
		require.Equal(t, reason.Of == explain.OfWait, reason.WaitsFor != "", "%s: what is waited for", reason.Name)
	}
	wanted := reasonsOf(t, "Reasons of decisions", "Reasons of a task that is Held", "Reasons of a task that ended", "Reasons of a task that waits")
	require.Greater(t, len(wanted), 40)
	for _, reason := range wanted {
		require.True(t, explained[reason], "reason %s is not explained: add it to pkg/explain and docs/explain.md", reason)
	}
}

func TestNoReasonIsExplainedTwice(t *testing.T) {
	t.Parallel()
	type of struct {
		name v1alpha1.Reason
		of   explain.Of
	}
	met := map[of]bool{}
	for _, reason := range explain.Reasons() {
		require.False(t, met[of{reason.Name, reason.Of}], reason.Name)
		met[of{reason.Name, reason.Of}] = true
	}
}
