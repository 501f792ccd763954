package trigger_test

import (
	"fmt"
	"strings"
)

// grammar makes a filter of the right types out of any bytes, so that a fuzzer
// spends its time on what filters do and not on what is no filter. It is pure: equal
// bytes make equal filters.
type grammar struct {
	bytes []byte
	// texts and lists are the variables in scope.
	texts, lists []string
	bound        int
}

// filterFrom is the filter that the bytes stand for.
func filterFrom(bytes []byte) string {
	g := &grammar{bytes: bytes}
	return g.boolean()
}

// pick takes a number below n from the bytes; 0, which is always the shortest
// choice, when there are none left.
func (g *grammar) pick(n int) int {
	if len(g.bytes) == 0 {
		return 0
	}
	chosen := int(g.bytes[0]) % n
	g.bytes = g.bytes[1:]
	return chosen
}

func (g *grammar) boolean() string {
	switch g.pick(9) {
	case 1:
		return g.text() + " == " + g.text()
	case 2:
		return g.text() + ".contains(" + g.text() + ")"
	case 3:
		return g.text() + ".matches(" + g.text() + ")"
	case 4:
		return g.text() + " in " + g.list()
	case 5:
		return "!(" + g.boolean() + " && " + g.boolean() + ")"
	case 6:
		return g.list() + ".exists(" + g.overText(g.boolean)
	case 7:
		return g.list() + ".all(" + g.overText(g.boolean)
	case 8:
		return g.list() + " == " + g.list()
	default:
		return "true"
	}
}

func (g *grammar) text() string {
	switch g.pick(10) {
	case 1:
		return "'" + strings.Repeat("x", 1+g.pick(200)) + "'"
	case 2:
		return "(" + g.text() + " + " + g.text() + ")"
	case 3:
		return g.text() + ".replace(" + g.text() + ", " + g.text() + ")"
	case 4:
		return g.list() + ".join(" + g.text() + ")"
	case 5:
		return "'%s'.format([" + g.list() + "])"
	case 6:
		return g.text() + ".upperAscii()"
	case 7:
		return fmt.Sprintf("%s.substring(%d)", g.text(), g.pick(4))
	case 8:
		return g.list() + "[0]"
	case 9:
		if len(g.texts) > 0 {
			return g.texts[g.pick(len(g.texts))]
		}
	}
	return "build.name"
}

func (g *grammar) list() string {
	switch g.pick(8) {
	case 1:
		return "(" + g.list() + " + " + g.list() + ")"
	case 2:
		return g.text() + ".split(" + g.text() + ")"
	case 3:
		return g.list() + ".map(" + g.overText(g.text)
	case 4:
		return g.list() + ".filter(" + g.overText(g.boolean)
	case 5: // a list with a name can be used twice, and so doubled
		return "[" + g.list() + "].map(" + g.overList(g.list) + "[0]"
	case 6:
		return "[" + strings.Repeat(g.text()+", ", g.pick(20)) + "'z']"
	case 7:
		if len(g.lists) > 0 {
			return g.lists[g.pick(len(g.lists))]
		}
	}
	return "['a', 'b']"
}

// overText is the rest of a macro over a list of texts: the variable and its body.
func (g *grammar) overText(body func() string) string {
	name := g.name()
	g.texts = append(g.texts, name)
	defer func() { g.texts = g.texts[:len(g.texts)-1] }()
	return name + ", " + body() + ")"
}

// overList is the same over a list of lists.
func (g *grammar) overList(body func() string) string {
	name := g.name()
	g.lists = append(g.lists, name)
	defer func() { g.lists = g.lists[:len(g.lists)-1] }()
	return name + ", " + body() + ")"
}

func (g *grammar) name() string {
	g.bound++
	return fmt.Sprintf("v%d", g.bound)
}
