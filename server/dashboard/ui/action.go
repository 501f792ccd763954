package ui

import (
	"cmp"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// Fact is what a person should know before they confirm.
type Fact struct{ Name, Value string }

// Confirmation is the page that asks whether somebody means an action, and why.
type Confirmation struct {
	Action  offer.Name
	Subject offer.Subject
	// Nonce names the form: sent twice, it asks once.
	Nonce string
	// Section is the part of the navigation, Title the question, and Button what confirms it.
	Section, Title, Button string
	// Effects are what happens, as sentences.
	Effects []string
	Facts   []Fact
	// Back are the segments of the page that shows the object.
	Back []string
	// BackQuery are its parameters, in pairs of name and value.
	BackQuery []string
	// Seen is when the object had changed last; zero where it does not matter.
	Seen time.Time
	// NoReason is true where nothing keeps a reason, and NeedsReason where it is refused without.
	NoReason, NeedsReason bool
	// Generation is that of the object that the form is about; 0 where it does not matter.
	Generation int64
	// Version is the same of an object without generations; empty where it does not matter.
	Version string
	// NewValue asks for a value; nil does not ask.
	NewValue *ValueField
	// OlderHelp asks whether an older build may be deployed; empty does not ask.
	OlderHelp string
	// Builds are those of which one has to be chosen.
	Builds []BuildChoice
}

// ValueField asks for a value.
type ValueField struct{ Value, Help string }

func (f Frame) action(one offer.Offer) string {
	return f.confirm(one.Action, one.Subject)
}

func (f Frame) confirm(action offer.Name, about offer.Subject) string {
	return f.Path("actions", string(action)) + "?" + about.Query().Encode()
}

// about names what an offer is about, for who hears the label alone.
func about(one offer.Offer) string {
	if one.Run != 0 {
		return one.Label + ": run " + count(one.Run) + " of " + one.Pipeline
	}
	return one.Label + ": " + cmp.Or(one.Pipeline, one.Build, one.BaseImage, one.Limit, count(one.ID))
}

// Number is a number as a segment of an address.
func Number(n int64) string { return strconv.FormatInt(n, 10) }

// ConfirmRun is the confirmation of an action on a run.
func ConfirmRun(one offer.Offer, run rest.Run) Confirmation {
	of := "run " + count(run.ID) + " of " + run.Pipeline
	asked := Confirmation{Section: "Applications", Back: []string{"pipelines", one.Namespace, one.Pipeline}, Facts: factsOf(run)}
	switch one.Action {
	case offer.Resume:
		asked.resume(one, run, of)
	case offer.Retry:
		asked.Title, asked.Button = "Retry "+of+"?", "Retry"
		asked.Effects = []string{"A new run of the same artifact begins at the stage that did not succeed.", "When it has succeeded, the pipelines below follow."}
		asked.OlderHelp = "Deploy the build although a newer one had its turn"
	default:
		asked.Title, asked.Button = "Cancel "+of+"?", "Cancel the run"
		asked.Effects = []string{"What waits ends at once, and the Workflow of what runs is stopped.", "A run that is cancelled can be retried."}
	}
	return asked
}

func (c *Confirmation) resume(one offer.Offer, run rest.Run, of string) {
	c.Title, c.Button = "Approve stage "+one.Stage+" of "+of+"?", "Approve"
	c.Effects = []string{"The stage starts as soon as nothing else holds it.", "Your name is kept as that of who approved it."}
	for _, stage := range run.Stages {
		if stage.Stage == one.Stage && offer.WaitsForTime(stage) {
			c.Title, c.Button, c.NeedsReason = "Start stage "+one.Stage+" of "+of+" now?", "Start now", true
			c.Effects[0] = "The stage starts although the pipeline waits for its time. Say why."
		}
	}
}

func factsOf(run rest.Run) []Fact {
	facts := []Fact{{"Pipeline", run.Pipeline}, {"Build", run.Build}, {"Artifact", run.Image + " " + shortDigest(run.Digest)}, {"State", RunState(run)}}
	if run.Cluster != "" {
		facts = append(facts, Fact{"Cluster", run.Cluster})
	}
	for _, stage := range failedStages(run) {
		facts = append(facts, Fact{"Stage " + stage.Stage, ended(wordsOf(false, stage.Reason), stage.Message) + " " + stage.Message})
	}
	return facts
}
