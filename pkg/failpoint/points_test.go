package failpoint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// constants are the names of the constants in points.go, by their values.
func constants(t *testing.T) map[string]Name {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, 0)
	require.NoError(t, err)
	found := map[string]Name{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if ok && len(spec.Values) == 1 && spec.Names[0].Name != "Variable" {
			text := spec.Values[0].(*ast.BasicLit).Value
			found[spec.Names[0].Name] = Name(strings.Trim(text, `"`))
		}
		return true
	})
	return found
}

// calls are the functions of this package that the product calls with each
// constant.
func calls(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, dir := range []string{"cmd", "controllers", "pkg", "server"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				ast.Inspect(file, func(node ast.Node) bool { return collect(node, found) })
			}
			return err
		}))
	}
	return found
}

// collect notes a call like failpoint.Hit(failpoint.PlanBeforeInsert).
func collect(node ast.Node, found map[string][]string) bool {
	call, ok := node.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return true
	}
	function, argument := ofThisPackage(call.Fun), ofThisPackage(call.Args[0])
	if function != "" && argument != "" {
		found[argument] = append(found[argument], function)
	}
	return true
}

func ofThisPackage(expression ast.Expr) string {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if of, ok := selector.X.(*ast.Ident); !ok || of.Name != "failpoint" {
		return ""
	}
	return selector.Sel.Name
}

func TestEveryPointIsPassedAtOnePlaceAsTheListSays(t *testing.T) {
	t.Parallel()
	points, passed, names := Points(), calls(t), constants(t)
	require.Len(t, names, len(points))
	require.Len(t, passed, len(points))
	for constant, name := range names {
		canFail, listed := points[name]
		require.True(t, listed, "%s is not in Points", name)
		want := []string{"Hit"}
		if canFail {
			want = []string{"Error"}
		}
		require.Equal(t, want, passed[constant], "calls with failpoint.%s", constant)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(victim) != "" {
		os.Exit(runVictim())
	}
	goleak.VerifyTestMain(m)
}
