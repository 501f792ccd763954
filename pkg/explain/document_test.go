package explain_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/explain"
)

// page has the table of reasons behind this heading.
const page, heading = "../../docs/explain.md", "## What the reasons mean\n\n"

// headings are those of the parts of the table.
var headings = map[explain.Of]string{
	explain.OfDecision: "What was decided", explain.OfWait: "What a stage waits for",
	explain.OfDelay: "Why Workflows are refused; all go on by themselves once that is mended", explain.OfEnd: "How a stage ended",
}

// documented is the table as the page has it.
func documented() string {
	var text strings.Builder
	part := explain.Of("")
	for _, reason := range explain.Reasons() {
		if reason.Of != part {
			part = reason.Of
			fmt.Fprintf(&text, "\n**%s**\n\n| reason | means | what to do |\n|---|---|---|\n", headings[part])
		}
		remedy := reason.Remedy
		if remedy == "" {
			remedy = "–"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", reason.Name, reason.Meaning, remedy)
	}
	return strings.TrimPrefix(text.String(), "\n")
}

// UPDATE=true go test ./pkg/explain writes the table anew.
func TestTheDocumentHasEveryReason(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	before, table, found := strings.Cut(string(text), heading)
	require.True(t, found, "%s has no heading %q", page, heading)
	if os.Getenv("UPDATE") == "true" {
		require.NoError(t, os.WriteFile(page, []byte(before+heading+documented()), 0o600))
		return
	}
	require.Equal(t, documented(), table, "run UPDATE=true go test ./pkg/explain")
}
