package ui

import (
	"fmt"
	"strconv"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// SettingsView is what the page of the settings shows.
type SettingsView struct {
	Limits rest.Settings
	// LimitsError is why there are no limits; empty where they are there.
	LimitsError string
	// Offers are what the user may change, and Changed the limit that they just have; empty is none.
	Offers  offer.Offers
	Changed string
	// Groups are the user's, and Impersonator is who acts for them; empty where nobody does.
	Groups       []string
	Impersonator string
}

// limitFrom is where a limit comes from, in words.
func limitFrom(one rest.Setting) string {
	switch one.From {
	case config.FromEnvironment:
		return "environment of the controller"
	case config.FromBefore:
		return "what held before"
	case "hidden":
		return "not shown: it may name namespaces that you may not see"
	}
	return one.From
}

// figure is a number with three digits at most.
func figure(n float64) string { return strconv.FormatFloat(n, 'g', 3, 64) }

// allows is the batch size that a limit allows.
func allows(bound rest.TuningBound) string {
	switch {
	case !bound.Known:
		return "not known"
	case bound.Allows == 0:
		return "any"
	}
	return strconv.Itoa(bound.Allows)
}

// bindsInWords says which batch size is useful, and what keeps it from being larger.
func bindsInWords(advice rest.TuningAdvice) string {
	by := "nothing that is known"
	for _, bound := range advice.Bounds {
		if bound.Binds {
			by = "the limit " + bound.Limit
		}
	}
	return fmt.Sprintf("Useful batch size: %d, bound by %s. At most %s triggers/s.", advice.BatchSize, by, figure(advice.PerSecond))
}
