// Command figures copies what make bench has measured from bin/bench into the
// documents, so that each figure there is one that a command has made.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// Where the figures come from, and where they go. The program runs at the module's root.
const (
	resultsDir = "bin/bench"
	documents  = "docs/*.md"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run() error {
	pages, err := filepath.Glob(documents)
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := renew(page); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
	}
	return nil
}

// renew writes the page only where a figure has changed.
func renew(page string) error {
	before, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	after, missing, err := replace(string(before), resultOf)
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
