// Command reference writes the pages of docs/ that are made of the sources: the fields of each
// kind, the conditions and reasons, the plugin's commands, and the variables.
//
//	go run ./hack/reference    in the repository's root
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/penstock-cd/penstock/config/crd"
)

// notice is the first line of each page that this command writes.
const notice = "<!-- Written by make generate (hack/reference): change the sources, not this page. -->\n"

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

// write makes every page of the repository.
func write(root string) error {
	pages, err := pagesOf(root)
	if err != nil {
		return err
	}
	commands, err := readCommands(root)
	if err != nil {
		return err
	}
	pages["commands.md"] = commandsPage(commands)
	for name, text := range pages {
		path := filepath.Join(root, "docs", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("make the folder of a page: %w", err)
		}
		if err := os.WriteFile(path, []byte(notice+text), 0o600); err != nil {
			return fmt.Errorf("write a page: %w", err)
		}
	}
	return nil
}

// pagesOf returns the text of each page but that of the commands, by its path below docs.
func pagesOf(root string) (map[string]string, error) {
	kinds, err := readKinds(crd.Bases)
	if err != nil {
		return nil, err
	}
	groups, err := readGroups(filepath.Join(root, "api", "v1alpha1"))
	if err != nil {
		return nil, err
	}
	pages := map[string]string{
		"reference.md":            indexPage(kinds),
		"reference/conditions.md": conditionsPage(groups),
		"reference/variables.md":  variablesPage(),
	}
	for _, kind := range kinds {
		pages[kind.path()] = kind.page()
	}
	return pages, nil
}
