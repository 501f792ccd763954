// Command vulncheck reads what govulncheck -format json prints, and fails when our
// code calls what is vulnerable, unless that is accepted with a reason.
//
//	govulncheck -format json ./... | go run ./hack/vulncheck hack/vulncheck/accepted.yaml
package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: govulncheck -format json ./... | vulncheck ACCEPTED.yaml")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vulncheck:", err)
		os.Exit(1)
	}
}

func run(acceptedFile string, scan io.Reader, out io.Writer) error {
	text, err := os.ReadFile(acceptedFile)
	if err != nil {
		return err
	}
	accepted := map[string]string{} // id → reason
	if err := yaml.UnmarshalStrict(text, &accepted); err != nil {
		return fmt.Errorf("%s: %w", acceptedFile, err)
	}
	found, err := read(scan)
	if err != nil {
		return err
	}
	bad := 0
	for _, one := range found {
		if reason := accepted[one.ID]; reason != "" {
			fmt.Fprintf(out, "vulncheck: accepted %s: %s\n", one.ID, reason)
			continue
		}
		bad++
		fmt.Fprintf(out, "vulncheck: %s in %s %s (%s): %s\n  https://pkg.go.dev/vuln/%s\n", one.ID, one.Module, one.Version, one.mended(), one.Summary, one.ID)
	}
	for id := range accepted {
		if !slices.ContainsFunc(found, func(one vulnerability) bool { return one.ID == id }) {
			bad++
			fmt.Fprintf(out, "vulncheck: %s is accepted in %s, but not found any more: take it out\n", id, acceptedFile)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d vulnerabilities to look at", bad)
	}
	fmt.Fprintln(out, "vulncheck: nothing vulnerable is called")
	return nil
}
