package explain

import (
	"fmt"
	"slices"
	"strings"
)

// HeldBy begins the part of a message that names who holds the backlog gate, and maxHolders is how
// many are named.
const (
	HeldBy     = "; the oldest are "
	maxHolders = 5
)

// Holders are those of the oldest holders that are named, and an ellipsis where there are more.
func Holders(oldest []string) []string {
	if len(oldest) <= maxHolders {
		return oldest
	}
	return append(slices.Clone(oldest[:maxHolders]), "…")
}

// NamespaceOfHolder is the namespace of a Workflow that Holders names; false is an ellipsis.
func NamespaceOfHolder(holder string) (namespace string, isNamed bool) {
	namespace, _, isNamed = strings.Cut(holder, "/")
	return namespace, isNamed
}

// SeenHolders are those in namespaces that somebody sees, and how many others there are.
func SeenHolders(named []string, sees func(namespace string) bool) []string {
	var seen, rest []string
	hidden := 0
	for _, holder := range named {
		namespace, isNamed := NamespaceOfHolder(holder)
		switch {
		case !isNamed:
			rest = append(rest, holder)
		case sees(namespace):
			seen = append(seen, holder)
		default:
			hidden++
		}
	}
	if hidden > 0 {
		seen = append(seen, fmt.Sprintf("%d in namespaces that you may not read", hidden))
	}
	return append(seen, rest...)
}

// OldestAre names who holds the backlog gate, behind a text; empty where nobody is known to.
func OldestAre(holders []string) string {
	if len(holders) == 0 {
		return ""
	}
	return HeldBy + strings.Join(holders, ", ")
}
