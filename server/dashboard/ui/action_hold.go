package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// ConfirmHold is the confirmation that a pipeline is held, or released.
func ConfirmHold(hold bool, about offer.Subject, now rest.Hold) Confirmation {
	asked := Confirmation{
		Section: "Applications", Title: "Release " + about.Pipeline + "?", Button: "Release", Back: []string{"pipelines", about.Namespace, about.Pipeline},
		Effects: []string{"What waits goes on."}, Facts: []Fact{{"Pipeline", about.Pipeline}, {"Now", HoldInWords(now)}}, Generation: now.Generation,
	}
	if hold {
		asked.Title, asked.Button = "Hold "+about.Pipeline+"?", "Hold"
		asked.Effects = []string{"Builds are planned, and their runs wait until the pipeline is released.", "What runs already goes on, and a stage behind it waits."}
	}
	return asked
}

// HoldInWords says whether a pipeline is held, by whom and why, without a subject.
func HoldInWords(now rest.Hold) string {
	words := "is not held"
	switch {
	case now.Hold:
		words = "is held"
	case now.By != "":
		words = "was released"
	}
	if now.By != "" {
		words += ", by " + shortUser(now.By)
	}
	if now.Reason != "" {
		words += ": " + now.Reason
	}
	return words
}

// holdTone is how the notice about a hold looks.
func holdTone(now rest.Hold) string {
	if now.Hold {
		return "wait"
	}
	return ""
}
