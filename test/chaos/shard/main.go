// Command shard prints the scenarios' tests of one shard of test/chaos, as a pattern for
// go test -run: make chaos SHARD=2/4 runs the second of four.
package main

import (
	"fmt"
	"os"
	"strings"
)

// folder holds the scenarios, from the repository's root.
const folder = "test/chaos"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shard:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, such as 2/4, and got %d", len(args))
	}
	which, shards, err := parse(args[0])
	if err != nil {
		return err
	}
	tests, err := list(folder)
	if err != nil {
		return err
	}
	if shards > len(tests) {
		return fmt.Errorf("%d shards are more than the %d tests", shards, len(tests))
	}
	fmt.Printf("^(%s)$\n", strings.Join(split(tests, shards)[which-1], "|"))
	return nil
}

// parse reads which shard of how many.
func parse(text string) (which, shards int, err error) {
	var rest string
	if n, _ := fmt.Sscanf(text+" ", "%d/%d%s", &which, &shards, &rest); n != 2 || which < 1 || which > shards {
		return 0, 0, fmt.Errorf("SHARD=%s: must be a shard and how many there are, such as 2/4", text)
	}
	return which, shards, nil
}
