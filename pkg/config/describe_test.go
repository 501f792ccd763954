package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescribeListsEveryVariableOnce(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSuffix(Describe(), "\n"), "\n")

	require.Len(t, lines, 1+reflect.TypeFor[Config]().NumField())
	require.Regexp(t, `^VARIABLE +DEFAULT +MEANING$`, lines[0])
	require.Regexp(t, `^CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE +5 +triggers in flight at once, .*\(a whole number up to 10000, or auto\)$`, lines[1])
	require.Regexp(t, `(?m)^DATABASE_URL +\(required\) +Postgres to connect to`, Describe())
	require.Regexp(t, `(?m)^POD_NAMESPACE +\(empty\) +namespace of the leader's Lease`, Describe())
}

func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, v := range variables() {
		require.Regexp(t, `^[A-Z][A-Z_]*$`, v.name)
		require.NotEmpty(t, v.meaning, v.name)
		require.NotEmpty(t, v.allowed, v.name)
		require.False(t, names[v.name], "%s is read by two fields", v.name)
		names[v.name] = true
	}
}

func TestEveryFieldHasAComment(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	require.NoError(t, err)

	declared := file.Scope.Lookup("Config").Decl.(*ast.TypeSpec).Type.(*ast.StructType)
	for _, field := range declared.Fields.List {
		require.True(t, strings.HasPrefix(field.Doc.Text(), field.Names[0].Name+" "), "%s needs a comment that begins with its name", field.Names[0].Name)
	}
}

func TestRuleRefusesBadTags(t *testing.T) {
	t.Parallel()
	tests := map[string]reflect.Type{
		"a text of an unknown format":  reflect.TypeFor[struct{ Field string }](),
		"an integer without a maximum": reflect.TypeFor[struct{ Field int }](),
	}
	for name, declared := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Panics(t, func() { ruleOf(declared.Field(0)) })
		})
	}
}
