package graph

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// draw writes a layout as text: a line for every half row, and ten characters for a column.
func draw(layout Layout) string {
	lines := make([][]rune, max(2*layout.Rows-1, 0))
	for i := range lines {
		lines[i] = []rune(strings.Repeat(" ", layout.Columns*10))
	}
	for _, place := range layout.Places {
		name := place.ID
		if place.Ring {
			name = "@" + name
		}
		if place.Hidden > 0 {
			name = fmt.Sprintf("+%d", place.Hidden)
		}
		copy(lines[int(2*place.Row)][place.Column*10:], []rune(name))
	}
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return text.String()
}

// nodes are written as "parent>node".
func nodes(edges ...string) (all []Node) {
	for _, edge := range edges {
		parent, id, _ := strings.Cut(edge, ">")
		all = append(all, Node{ID: id, Parent: parent})
	}
	return all
}

func TestLay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		nodes []Node
		most  int
		want  string
	}{
		"nothing":  {},
		"one node": {nodes: nodes(">ci"), want: "ci\n"},
		"a chain":  {nodes: nodes(">ci", "ci>dev", "dev>prod"), want: "ci        dev       prod\n"},
		"a node whose parent is not there begins a tree": {nodes: nodes("gone>dev", "dev>prod"), want: "dev       prod\n"},
		"a parent stands in the middle of its children": {nodes: nodes(">ci", "ci>a", "ci>b", "ci>c", "c>d"), want: `
          a

ci        b

          c         d
`},
		"a parent stands between two children": {nodes: nodes(">ci", "ci>a", "ci>b"), want: `
          a
ci
          b
`},
		"trees stand below each other": {nodes: nodes(">ci1", "ci1>a", "ci1>b", ">ci2", "ci2>c"), want: `
          a
ci1
          b

ci2       c
`},
		"a ring begins with its first node": {nodes: nodes("c>a", "a>b", "b>c", "c>d"), want: "@a        b         c         d\n"},
		"what is below a parent is folded where there is too much": {nodes: nodes(">ci", "ci>a", "ci>b", "a>x", "a>y", "y>z", "b>w"), most: 4, want: `
          a         +3
ci
          b         +1
`},
		"a wide first level is folded as a whole": {nodes: nodes(">ci", "ci>a", "ci>b", "ci>c"), most: 2, want: "ci        +3\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.most == 0 {
				test.most = 300
			}
			require.Equal(t, strings.TrimPrefix(test.want, "\n"), draw(Lay(test.nodes, test.most)))
		})
	}
}

// A layout of any forest has no crossings, no two nodes in one place, and each node behind
// its parent.
func TestNoLayoutHasCrossings(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var all []Node
		for i := range random.IntN(60) + 1 {
			node := Node{ID: fmt.Sprint(i)}
			if i > 0 && random.IntN(6) > 0 {
				node.Parent = fmt.Sprint(random.IntN(i))
			}
			all = append(all, node)
		}
		layout := Lay(all, 300)
		require.Len(t, layout.Places, len(all))
		random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		require.Equal(t, layout, Lay(all, 300), "the order of the nodes does not matter")
		requireTidy(t, layout)
	}
}

func requireTidy(t *testing.T, layout Layout) {
	t.Helper()
	places := map[string]Place{}
	for _, place := range layout.Places {
		places[place.ID] = place
	}
	for i, one := range layout.Places {
		parent, has := places[one.Parent]
		if has {
			require.Equal(t, parent.Column+1, one.Column)
		}
		for _, other := range layout.Places[i+1:] {
			if other.Column != one.Column {
				continue
			}
			require.GreaterOrEqual(t, other.Row-one.Row, 1.0, "%s and %s are in one place", one.ID, other.ID)
			if above, found := places[other.Parent]; has && found {
				require.LessOrEqual(t, parent.Row, above.Row, "the lines to %s and %s cross", one.ID, other.ID)
			}
		}
	}
}
