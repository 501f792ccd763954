// Package graph lays the pipelines of an application out for a picture: each in the column
// after its parent's, so that lines go one way, and none crosses another.
package graph

import (
	"cmp"
	"slices"
)

// Node is one pipeline. ID must be unique; Parent is the ID of the node that it follows.
// A node whose Parent is empty, or is not among the nodes, begins a tree.
type Node struct {
	ID, Parent string
}

// Place is where a node is drawn, in columns and rows from 0. A row may lie between two
// others, where a parent stands in the middle of its children.
type Place struct {
	Node

	Column int
	Row    float64
	// Ring means that the node follows itself, over others: the line to its parent is left
	// out.
	Ring bool
	// Hidden is how many nodes this place stands for, where there are more than are drawn. Its
	// ID is then that of its parent.
	Hidden int
}

// Layout are the places of all nodes, by column and row, and how large the picture is.
type Layout struct {
	Places        []Place
	Columns, Rows int
}

// Lay lays nodes out. Where there are more than most, those furthest from the beginning are
// drawn as one place below their parent. Equal nodes in any order give the same layout.
func Lay(nodes []Node, most int) Layout {
	forest := grow(nodes)
	forest.prune(most)
	for _, root := range forest.roots {
		forest.place(root, 0)
	}
	slices.SortFunc(forest.places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Column, b.Column), cmp.Compare(a.Row, b.Row))
	})
	columns := 0
	for _, place := range forest.places {
		columns = max(columns, place.Column+1)
	}
	return Layout{Places: forest.places, Columns: columns, Rows: forest.rows}
}

// tree is a node with its children.
type tree struct {
	node     Node
	children []*tree
	ring     bool
	hidden   int // stands for so many nodes
}

// forest is all trees, and what was placed of them.
type forest struct {
	roots  []*tree
	places []Place
	rows   int
}

// grow hangs every node below its parent. A ring has no beginning: its first node by ID
// begins it.
func grow(nodes []Node) *forest {
	nodes = slices.SortedFunc(slices.Values(nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
	all := make(map[string]*tree, len(nodes))
	for _, node := range nodes {
		all[node.ID] = &tree{node: node}
	}
	grown := &forest{}
	for _, node := range nodes {
		parent, found := all[node.Parent]
		if !found || startsRing(node, all) {
			all[node.ID].ring = found
			grown.roots = append(grown.roots, all[node.ID])
			continue
		}
		parent.children = append(parent.children, all[node.ID])
	}
	return grown
}

// startsRing tells whether a node follows itself, and is the first of its ring by ID.
func startsRing(node Node, all map[string]*tree) bool {
	at, first := node.Parent, node.ID
	for range len(all) {
		if at == node.ID {
			return first == node.ID
		}
		parent, found := all[at]
		if !found {
			return false
		}
		first, at = min(first, at), parent.node.Parent
	}
	return false
}

// prune keeps the most nodes that are nearest to the beginning. What is cut off below one
// parent becomes one place.
func (f *forest) prune(most int) {
	kept, level := 0, f.roots
	for len(level) > 0 {
		var next []*tree
		for _, one := range level {
			kept++
			next = append(next, one.children...)
		}
		if kept+len(next) > most {
			for _, one := range level {
				one.fold()
			}
			return
		}
		level = next
	}
}

// fold puts all that is below a node into one place.
func (t *tree) fold() {
	if below := t.size() - 1; below > 0 {
		t.children = []*tree{{node: Node{ID: t.node.ID, Parent: t.node.ID}, hidden: below}}
	}
}

func (t *tree) size() int {
	size := 1
	for _, child := range t.children {
		size += child.size()
	}
	return size
}

// place gives each leaf a row of its own, and each parent the middle of its children.
func (f *forest) place(t *tree, column int) (row float64) {
	if len(t.children) == 0 {
		row = float64(f.rows)
		f.rows++
	} else {
		first := f.place(t.children[0], column+1)
		last := first
		for _, child := range t.children[1:] {
			last = f.place(child, column+1)
		}
		row = (first + last) / 2
	}
	f.places = append(f.places, Place{Node: t.node, Column: column, Row: row, Ring: t.ring, Hidden: t.hidden})
	return row
}
