package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"
)

const root = "../.."

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheCommittedPagesAreThoseOfTheSources(t *testing.T) {
	t.Parallel()
	pages, err := pagesOf(root)
	require.NoError(t, err)
	require.Greater(t, len(pages), 10)
	for name, text := range pages {
		committed, err := os.ReadFile(filepath.Join(root, "docs", name))
		require.NoError(t, err)
		require.Equal(t, string(committed), notice+text, "docs/%s: run make generate", name)
	}
	committed, err := filepath.Glob(filepath.Join(root, "docs", "reference", "*.md"))
	require.NoError(t, err)
	for _, path := range committed {
		require.Contains(t, pages, "reference/"+filepath.Base(path), "a page of a kind that is gone: delete it")
	}
}

func TestEveryConditionOutcomeAndReasonHasAMeaning(t *testing.T) {
	t.Parallel()
	groups, err := readGroups(filepath.Join(root, "api", "v1alpha1"))
	require.NoError(t, err)
	count := 0
	for _, group := range groups {
		require.NotEmpty(t, group.title)
		for _, constant := range group.constants {
			count++
			require.NotEmpty(t, constant.meaning, "%s: give it a comment in api/v1alpha1", constant.name)
		}
	}
	require.Greater(t, count, 100)
}

func TestAFieldIsToldWithItsPathTypeDefaultBoundsAndRefusals(t *testing.T) {
	t.Parallel()
	var of schema
	require.NoError(t, yaml.UnmarshalStrict([]byte(`
description: Spec is a spec.
required: [phase]
x-kubernetes-validations: [{rule: "true", message: spec is immutable}]
properties:
  phase: {type: string, enum: [Open, Shut], default: Open, description: "Phase is one\nof two."}
  count: {type: integer, minimum: 1, maximum: 5}
  names: {type: array, maxItems: 3, items: {type: string, pattern: "a|b", minLength: 1}}
  labels: {type: object, maxProperties: 2, additionalProperties: {type: string}}
  first: {type: object, properties: {x: {type: string}, z: {type: string, format: date-time}}}
  second: {type: object, description: Second is another., properties: {x: {type: string}, z: {type: string, format: date-time}}}
`), &of))
	require.Equal(t, `Spec is a spec. Refused with: “spec is immutable”.

| field | value | meaning |
|---|---|---|
| `+"`spec.count`"+` | integer; 1 to 5 |  |
| `+"`spec.first`"+` | object |  |
| `+"`spec.first.x`"+` | string |  |
| `+"`spec.first.z`"+` | time |  |
| `+"`spec.labels{}`"+` | map of string; at most 2 entries |  |
| `+"`spec.names[]`"+` | list of string; at least 1 characters; matches `+"`a\\|b`"+`; at most 3 items |  |
| `+"`spec.phase`"+` | `+"`Open` or `Shut`; required; default `Open`"+` | Phase is one of two. |
| `+"`spec.second`"+` | object | Second is another. The fields are those of `+"`spec.first`"+`. |
`, fieldTable("spec", of, map[string]string{}))
}

func TestTheCommandsBelowAreReadFromTheHelp(t *testing.T) {
	t.Parallel()
	help := "Say hello.\n\nUsage:\n  x [command]\n\nAvailable Commands:\n  add         Add one\n  give-up     Give one up\n\nFlags:\n  -h, --help   help\n\nGlobal Flags:\n  -n, --namespace string   where\n\nUse \"kubectl penstock x [command] --help\" for more information about a command.\n"
	require.Equal(t, []string{"add", "give-up"}, below(help))
	require.Empty(t, below("Say hello.\n"))
	page := commandsPage([]helped{{path: plugin, help: help}, {path: plugin + " add", help: "Add one.\n"}})
	require.NotContains(t, page, "Global Flags")
	require.NotContains(t, page, "for more information")
	require.Contains(t, page, "- [`kubectl penstock add`](#kubectl-penstock-add)\n")
}
