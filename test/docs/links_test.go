package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

var (
	// link is one of Markdown's, with what it leads to.
	link = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// heading is a line of a page that can be linked to.
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	// block is a fenced block, in which nothing is a link or a heading.
	block = regexp.MustCompile("(?s)\n *```.*?\n *```\n")
	// inline is code within a line.
	inline = regexp.MustCompile("`[^`\n]*`")
)

// pagesOf are our Markdown pages by their path, without what is in blocks.
func pagesOf(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	add := func(path string) {
		text, err := os.ReadFile(filepath.Join(root, path))
		require.NoError(t, err)
		pages[path] = block.ReplaceAllString(string(text), "\n")
	}
	add("README.md")
	add("CONTRIBUTING.md")
	require.NoError(t, fs.WalkDir(os.DirFS(filepath.Join(root, "docs")), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".md") {
			add(filepath.Join("docs", path))
		}
		return err
	}))
	return pages
}

// anchorOf is what GitHub makes of a heading: lower case, dashes for blanks, and of other
// signs only dashes and underscores.
func anchorOf(heading string) string {
	var anchor strings.Builder
	for _, letter := range strings.ToLower(link.ReplaceAllString(heading, "]")) {
		switch {
		case letter == ' ':
			anchor.WriteRune('-')
		case unicode.IsLetter(letter), unicode.IsDigit(letter), letter == '-', letter == '_':
			anchor.WriteRune(letter)
		}
	}
	return anchor.String()
}

func TestEveryLinkBetweenOurPagesLeadsSomewhere(t *testing.T) {
	t.Parallel()
	pages := pagesOf(t)
	require.Greater(t, len(pages), 20)
	for page, text := range pages {
		for _, match := range link.FindAllStringSubmatch(inline.ReplaceAllString(text, ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
				_, err := os.Stat(filepath.Join(root, target))
				require.NoError(t, err, "%s links to %s", page, match[1])
			}
			if anchor != "" {
				require.Contains(t, anchorsOf(pages[target]), anchor, "%s links to %s", page, match[1])
			}
		}
	}
}

func anchorsOf(page string) (anchors []string) {
	for _, match := range heading.FindAllStringSubmatch(page, -1) {
		anchors = append(anchors, anchorOf(match[1]))
	}
	return anchors
}

func TestTheReadmeLinksEveryPageOnceInItsList(t *testing.T) {
	t.Parallel()
	pages := pagesOf(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	require.Less(t, strings.Count(string(readme), "\n"), 120)
	_, list, found := strings.Cut(string(readme), "\n## More\n")
	require.True(t, found)
	for page := range pages {
		if strings.HasPrefix(page, "docs/reference/") || page == "README.md" { // docs/reference.md links these
			continue
		}
		require.Equal(t, 1, strings.Count(list, "]("+page+")"), "%s in the list at the end of README.md", page)
	}
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	t.Parallel()
	for text, anchor := range map[string]string{
		"How it works, and why":            "how-it-works-and-why",
		"`DATABASE_URL` & more":            "database_url--more",
		"[Install](install.md) it":         "install-it",
		"Quotas, rights and policies (§4)": "quotas-rights-and-policies-4",
	} {
		require.Equal(t, anchor, anchorOf(text))
	}
}
