package delivery

import (
	"fmt"
	"slices"
	"strings"
)

// Outcome is what came of a delivery.
type Outcome string

// The outcomes.
const (
	// Built: builds exist for it.
	Built Outcome = "Built"
	// Reported: a build was told how it stands.
	Reported Outcome = "Reported"
	// CheckWanted: base images are checked at once.
	CheckWanted Outcome = "CheckWanted"
	// NoMatch: it is about nothing that is here.
	NoMatch Outcome = "NoMatch"
	// Ignored: there is nothing to do about such an event.
	Ignored Outcome = "Ignored"
	// Pinged: the sender tried whether it is heard.
	Pinged Outcome = "Pinged"
	// Malformed: the body is not what its sender sends.
	Malformed Outcome = "Malformed"
	// Refused: what it asks for may not be, or the API server does not take it.
	Refused Outcome = "Refused"
	// Failed: an expression gave no answer, or it was tried for too long.
	Failed Outcome = "Failed"
)

func (o Outcome) isFailure() bool { return o == Malformed || o == Refused || o == Failed }

// result is the outcome, and the same for people.
type result struct {
	outcome Outcome
	message string
}

func ignored(why string) result { return result{Ignored, "Ignored: " + why} }

func refused(format string, arguments ...any) result {
	return result{Refused, "Refused: " + fmt.Sprintf(format, arguments...)}
}

func noMatch(format string, arguments ...any) result {
	return result{NoMatch, "NoMatch: " + fmt.Sprintf(format, arguments...)}
}

// maxNames bounds how many names a message lists.
const maxNames = 20

// list is names for people.
func list(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxNames {
		return strings.Join(names[:maxNames], ", ") + fmt.Sprintf(" and %d more", len(names)-maxNames)
	}
	return strings.Join(names, ", ")
}
