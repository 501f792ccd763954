// Package figures copies what the scenarios have measured from their JSON files into
// the documents, so that each figure there is one that a command has made.
package figures

import (
	"fmt"
	"os"
	"path/filepath"
)

// Copy renews the figures of the Markdown files in documents from the JSON files in
// results, and prints what it has renewed and what was not measured in full.
func Copy(results, documents string) error {
	pages, err := filepath.Glob(filepath.Join(documents, "*.md"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := renew(page, results); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
	}
	return nil
}

// renew writes the page only where a figure has changed.
func renew(page, results string) error {
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	after, missing, err := replace(string(before), func(scenario string) (result, error) { return resultOf(results, scenario) })
	if err != nil {
		return err
	}
	for _, scenario := range missing {
		fmt.Printf("%s: figures of %s stay as they are: make bench SCENARIO=%s\n", page, scenario, scenario)
	}
	if after == string(before) {
		return nil
	}
	fmt.Printf("%s: figures renewed\n", page)
	return os.WriteFile(page, []byte(after), 0o644)
}
