package ui

import (
	"cmp"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
)

// scale is how long a timeline is, in parts of its width.
const scale = 1000

// bar is a part of a row of the timeline.
type bar struct {
	from, width int
	tone, title string
}

// timeline is the runs of a build to one scale.
type timeline struct {
	begin, end time.Time
	rows       []timelineRow
}

type timelineRow struct {
	run  rest.Run
	bars []bar
	text string
}

func nextRuns(f Frame, namespace, name, next string) string {
	if next == "" {
		return ""
	}
	return f.With(f.Path("pipelines", namespace, name), "cursor", next)
}

// RunState is how a run ended, or where it is.
func RunState(run rest.Run) string {
	if run.Outcome != "" {
		return run.Outcome
	}
	for _, stage := range run.Stages {
		if stage.FinishedAt == nil && stage.State != "Succeeded" {
			return stage.State
		}
	}
	return "Active"
}

func timelineOf(detail rest.BuildDetail, now time.Time) timeline {
	made := timeline{begin: now, end: now}
	if detail.Build.CreatedAt != nil {
		made.begin = *detail.Build.CreatedAt
	}
	latest, active := time.Time{}, false
	for _, run := range detail.Runs {
		if run.CreatedAt.Before(made.begin) {
			made.begin = run.CreatedAt
		}
		active = active || run.FinishedAt == nil
		if run.FinishedAt != nil && run.FinishedAt.After(latest) {
			latest = *run.FinishedAt
		}
	}
	if !active && !latest.IsZero() {
		made.end = latest
	}
	if made.end.Sub(made.begin) < time.Second {
		made.end = made.begin.Add(time.Second)
	}
	for _, run := range detail.Runs {
		made.rows = append(made.rows, made.row(run))
	}
	return made
}

func (t timeline) row(run rest.Run) timelineRow {
	row := timelineRow{run: run}
	for _, stage := range run.Stages {
		if stage.QueuedAt != nil {
			until := first(stage.SubmittedAt, stage.FinishedAt, &t.end)
			tone := "queued"
			if stage.State == "Held" {
				tone = "wait"
			}
			row.add(t, *stage.QueuedAt, until, tone, stage.Stage+" waited "+Span(until.Sub(*stage.QueuedAt)))
		}
		if stage.SubmittedAt != nil {
			until := first(stage.FinishedAt, &t.end)
			row.add(t, *stage.SubmittedAt, until, tone(stage.State), stage.Stage+" "+stage.State+" after "+Span(until.Sub(*stage.SubmittedAt)))
		}
	}
	row.text = Span(first(run.FinishedAt, &t.end).Sub(run.CreatedAt))
	return row
}

func (r *timelineRow) add(t timeline, from, until time.Time, tone, title string) {
	if tone == "none" {
		tone = "rest"
	}
	start, end := t.at(from), t.at(until)
	r.bars = append(r.bars, bar{from: start, width: max(end-start, 3), tone: tone, title: title})
}

// at is where a time is on the scale.
func (t timeline) at(when time.Time) int {
	part := float64(when.Sub(t.begin)) / float64(t.end.Sub(t.begin))
	return int(min(max(part, 0), 1) * scale)
}

// first is the first of the times that is known.
func first(times ...*time.Time) time.Time {
	for _, one := range times {
		if one != nil {
			return *one
		}
	}
	return time.Time{}
}

// decisionOrder puts what somebody may have to do first.
var decisionOrder = map[string]int{"Blocked": 1, "Waiting": 2, "Skipped": 3, "Triggered": 4}

func ordered(decisions []rest.Decision) []rest.Decision {
	return slices.SortedStableFunc(slices.Values(decisions), func(a, b rest.Decision) int {
		return cmp.Compare(decisionOrder[a.Outcome], decisionOrder[b.Outcome])
	})
}

// decided counts the decisions of each outcome, in words.
func decided(decisions []rest.Decision) string {
	counts := map[string]int64{}
	for _, one := range decisions {
		counts[one.Outcome]++
	}
	text := ""
	for _, part := range []struct{ outcome, word string }{{"Triggered", "triggered"}, {"Waiting", "waiting"}, {"Skipped", "skipped"}, {"Blocked", "blocked"}} {
		if n := counts[part.outcome]; n > 0 {
			text += ", " + count(n) + " " + part.word
		}
	}
	if text == "" {
		return "nothing decided yet"
	}
	return text[2:] + " of " + many(int64(len(decisions)), "decision")
}

// failedRun are the stages of a run that did not go well, with what was said.
func failedStages(run rest.Run) (some []rest.Stage) {
	for _, stage := range run.Stages {
		if stage.State == "Failed" || stage.State == "Error" || (stage.State == "Held" && stage.Reason != "StageBefore" && stage.Reason != "StageBeforeFailed") {
			some = append(some, stage)
		}
	}
	return some
}

// barsInWords says what a row of the timeline shows.
func barsInWords(row timelineRow) string {
	if len(row.bars) == 0 {
		return "nothing has begun"
	}
	text := ""
	for _, one := range row.bars {
		text += ", " + one.title
	}
	return text[2:]
}

func nextBuildPage(f Frame, namespace string, detail rest.BuildDetail) string {
	if detail.Next == "" {
		return ""
	}
	return f.With(f.Path("builds", namespace, detail.Build.Name), "cursor", detail.Next)
}
