package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notRunHere are pages with commands that no test of this package runs, and why.
var notRunHere = map[string]string{
	"README.md":          "make demo and make test are what runs these tests; the rest stands on install.md, steering.md and api.md too",
	"docs/benchmarks.md": "it takes hours, and a machine that does nothing else",
}

// reading is how a test names the page that it follows.
var reading = regexp.MustCompile(`newReader\(t, "([a-z-]+\.md)"\)|\[\]string\{("[a-z-]+\.md"(?:, "[a-z-]+\.md")*)\} \{`)

func TestEveryPageWithCommandsIsRun(t *testing.T) {
	t.Parallel()
	run := pagesThatAreRun(t)
	commands := map[string]bool{}
	for page := range run {
		for _, command := range commandsOf(t, readPage(t, page)) {
			commands[command.text] = true
		}
	}
	for page := range pagesOf(t) {
		if run[page] || notRunHere[page] != "" {
			continue
		}
		for _, command := range commandsOf(t, readPage(t, page)) {
			require.True(t, commands[command.text], "%s, line %d: no test runs %s", page, command.line, command.text)
		}
	}
}

func readPage(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	require.NoError(t, err)
	return string(text)
}

// pagesThatAreRun are those that the tests of this package name.
func pagesThatAreRun(t *testing.T) map[string]bool {
	t.Helper()
	tests, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	run := map[string]bool{}
	for _, test := range tests {
		text, err := os.ReadFile(test)
		require.NoError(t, err)
		for _, match := range reading.FindAllStringSubmatch(string(text), -1) {
			for _, page := range strings.Split(match[1]+match[2], ", ") {
				run[filepath.Join("docs", strings.Trim(page, `"`))] = true
			}
		}
	}
	require.Greater(t, len(run), 12)
	return run
}
