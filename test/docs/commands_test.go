package docs

import (
	"bytes"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// command is one that a page tells its reader to run.
type command struct {
	// line is where it begins, from 1.
	line int
	// language is console, or sql for the statements of a block.
	language string
	text     string
	// notRun is why no test runs it; empty is that one does.
	notRun string
}

var (
	fence = regexp.MustCompile("^( *)```([a-z]*)$")
	// notRun stands in the block, above the command.
	notRun = regexp.MustCompile(`^# Not run by the test: (.+)$`)
)

// commandsOf are those of a page's blocks, in order. In a console block a command begins
// after "$ " and ends where the shell's grammar lets it; what follows it is output.
func commandsOf(t *testing.T, page string) []command {
	t.Helper()
	var found []command
	var indent, language, reason string
	for i, line := range strings.Split(page, "\n") {
		if match := fence.FindStringSubmatch(line); match != nil {
			indent, language = match[1], match[2]
			if language == "sql" {
				found = append(found, command{line: i + 2, language: language})
			}
			continue
		}
		line = strings.TrimPrefix(line, indent)
		switch {
		case language == "sql":
			found[len(found)-1].text += line + "\n"
		case language != "console":
		case strings.HasPrefix(line, "$ "):
			found, reason = append(found, command{i + 1, language, line[2:], reason}), ""
		case notRun.MatchString(line):
			reason = notRun.FindStringSubmatch(line)[1]
		default:
			if last := &found[len(found)-1]; !isWhole(t, last.text) {
				last.text += "\n" + line
			}
		}
	}
	return found
}

// isWhole tells whether bash would run the text without waiting for another line.
func isWhole(t *testing.T, text string) bool {
	t.Helper()
	var complaints bytes.Buffer
	check := exec.CommandContext(t.Context(), "bash", "-n", "-c", text)
	check.Stderr = &complaints // also of a here-document that is not closed
	return check.Run() == nil && complaints.Len() == 0 && !strings.HasSuffix(text, `\`)
}

func TestCommandsAreReadFromBlocksAsAShellReadsThem(t *testing.T) {
	t.Parallel()
	page := strings.ReplaceAll(`Text, and $ no command.
'''console
$ one
output
$ two \
    --flag |
    while read -r name; do
      three "$name"
    done
more output
'''
1. A list:
   '''console
   $ cat <<'YAML'
   kind: Pod
   YAML
   # Not run by the test: no helm.
   $ helm upgrade
   $ four
   '''
'''sql
SELECT 1;
SELECT 2;
'''
`, "'''", "```")
	require.Equal(t, []command{
		{line: 3, language: "console", text: "one"},
		{line: 5, language: "console", text: "two \\\n    --flag |\n    while read -r name; do\n      three \"$name\"\n    done"},
		{line: 14, language: "console", text: "cat <<'YAML'\nkind: Pod\nYAML"},
		{line: 18, language: "console", text: "helm upgrade", notRun: "no helm."},
		{line: 19, language: "console", text: "four"},
		{line: 22, language: "sql", text: "SELECT 1;\nSELECT 2;\n"},
	}, commandsOf(t, page))
}
