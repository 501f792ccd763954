package oracle

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const concepts = "../../docs/concepts.md"

// chapter is what a page has below a heading, up to the next one of any level.
func chapter(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile(concepts)
	require.NoError(t, err)
	_, text, found := strings.Cut(string(page), "\n"+heading+"\n")
	require.True(t, found, "%s has no heading %q", concepts, heading)
	text, _, _ = strings.Cut(text, "\n#")
	return text
}

// tableRows are the cells of the rows of the one table of a chapter.
func tableRows(text string) (rows [][]string) {
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(cell))
		}
		rows = append(rows, cells)
	}
	return rows[1:] // without the head
}

// constantsOf are the values of the block of constants with this comment.
func constantsOf(t *testing.T, file, comment string) (values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", file), nil, parser.ParseComments)
	require.NoError(t, err)
	for _, declaration := range parsed.Decls {
		block, isBlock := declaration.(*ast.GenDecl)
		if !isBlock || strings.TrimSpace(block.Doc.Text()) != comment {
			continue
		}
		for _, spec := range block.Specs {
			literal, isLiteral := spec.(*ast.ValueSpec).Values[0].(*ast.BasicLit)
			require.True(t, isLiteral)
			value, err := strconv.Unquote(literal.Value)
			require.NoError(t, err)
			values = append(values, value)
		}
	}
	require.NotEmpty(t, values, "%s has no block of constants %q", file, comment)
	return values
}

func TestTheConceptsPageHasTheTransitionsThatTheOracleAllows(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, row := range tableRows(chapter(t, "## The states of a task")) {
		for _, from := range strings.Split(row[0], ", ") {
			for _, to := range strings.Split(row[1], ", ") {
				arrow := strings.TrimPrefix(from, "new") + " -> " + to
				require.False(t, documented[arrow], "%s is there twice", arrow)
				documented[arrow] = true
			}
		}
		require.NotEmpty(t, row[2])
	}
	inForce := map[string]bool{}
	for _, table := range []map[string][]string{allowed, reopens} {
		for from, all := range table {
			for _, to := range all {
				inForce[from+" -> "+to] = true
			}
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(inForce)), slices.Sorted(maps.Keys(documented)))
}

// The words of the drawing that begin with a capital are states, but for those of its labels.
func TestTheConceptsPageDrawsTheStatesOfTheQueue(t *testing.T) {
	t.Parallel()
	drawing := strings.Split(chapter(t, "## The states of a task"), "```")[1]
	drawn := map[string]bool{}
	for _, word := range regexp.MustCompile(`\b[A-Z][a-z]+\b`).FindAllString(drawing, -1) {
		if word != "Workflow" && word != "Argo" {
			drawn[word] = true
		}
	}
	states := constantsOf(t, "pkg/store/task.go", "The states of a task.")
	require.Equal(t, slices.Sorted(slices.Values(states)), slices.Sorted(maps.Keys(drawn)))
}

func TestTheConceptsPageHasEveryReasonOfAHeldTask(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, row := range tableRows(chapter(t, "### What holds a task")) {
		documented = append(documented, strings.Trim(row[0], "`"))
	}
	require.ElementsMatch(t, constantsOf(t, "api/v1alpha1/conditions.go", "Reasons of a task that is Held."), documented)
}
