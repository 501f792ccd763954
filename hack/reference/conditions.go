package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// group is a block of constants with a comment of its own.
type group struct {
	title     string
	constants []constant
}

type constant struct{ name, value, meaning string }

// readGroups reads the blocks of condition types, outcomes and reasons of a package.
func readGroups(folder string) ([]group, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list the sources of the kinds: %w", err)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	var groups []group
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the sources of the kinds: %w", err)
		}
		groups = append(groups, groupsOf(file)...)
	}
	return groups, nil
}

// rank puts the file first that has most of the conditions.
func rank(file string) int {
	if filepath.Base(file) == "conditions.go" {
		return 0
	}
	return 1
}

func groupsOf(file *ast.File) (groups []group) {
	for _, declaration := range file.Decls {
		block, isBlock := declaration.(*ast.GenDecl)
		if !isBlock || block.Tok != token.CONST {
			continue
		}
		one := group{title: strings.TrimSuffix(paragraph(block.Doc.Text()), ".")}
		for _, spec := range block.Specs {
			if found, ok := constantOf(spec); ok {
				one.constants = append(one.constants, found)
			}
		}
		if len(one.constants) > 0 {
			groups = append(groups, one)
		}
	}
	return groups
}

// conditionsPage is a table for each block.
func conditionsPage(groups []group) string {
	var text strings.Builder
	text.WriteString("# Conditions and reasons\n\n" +
		"Every condition has `observedGeneration`, and is written after what it says was committed. " +
		"[Why is it so?](../explain.md#what-the-reasons-mean) says what to do about each reason of a decision or a task.\n")
	for _, group := range groups {
		fmt.Fprintf(&text, "\n## %s\n\n| value | meaning |\n|---|---|\n", group.heading())
		for _, constant := range group.constants {
			fmt.Fprintf(&text, "| `%s` | %s |\n", constant.value, cell(constant.meaning))
		}
	}
	return text.String()
}

// heading is the first clause of the block's comment, without what it adds.
func (g group) heading() string {
	first, _, _ := strings.Cut(g.title, ", beside")
	return first
}
