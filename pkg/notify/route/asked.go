package route

import (
	"slices"
	"strings"
)

// maxAsked is how many people a message names.
const maxAsked = 3

// programs are actors that are no people.
var programs = []string{"", "Argo", "Penstock"}

// askedBy names who has asked for what the items tell, and why; empty where nobody has.
func askedBy(items []Item) string {
	var people []string
	for _, item := range items {
		if slices.Contains(programs, item.Actor) {
			continue
		}
		person := item.Actor
		if item.ActorReason != "" {
			person += " (" + item.ActorReason + ")"
		}
		if !slices.Contains(people, person) {
			people = append(people, person)
		}
	}
	if len(people) > maxAsked {
		people = append(people[:maxAsked], "…")
	}
	return strings.Join(people, ", ")
}
