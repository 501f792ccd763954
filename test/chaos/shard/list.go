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

// list returns the names of the test functions in the folder's files, sorted. Nothing is
// compiled for it.
func list(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return nil, fmt.Errorf("list tests: %w", err)
	}
	var tests []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("list tests: %w", err)
		}
		for _, declaration := range parsed.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if ok && function.Recv == nil && strings.HasPrefix(function.Name.Name, "Test") && function.Name.Name != "TestMain" {
				tests = append(tests, function.Name.Name)
			}
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("there are no tests in %s: run it in the repository's root", folder)
	}
	slices.Sort(tests)
	return tests, nil
}
