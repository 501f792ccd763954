package main

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/tune"
)

// mood is how urgent a line is.
type mood int

const (
	calm mood = iota
	busy
	wrong
)

// topLine is one line of what top shows.
type topLine struct {
	label, text string
	mood        mood
}

// frameOf is all that top shows at one moment. limits are by lane; nil where they are not
// known, and why then.
func frameOf(summary rest.QueueSummary, limits map[string]tune.LaneLimit, why string, now time.Time) []topLine {
	frame := []topLine{{label: "time", text: summary.At.Local().Format(time.TimeOnly)}}
	for _, lane := range summary.Lanes {
		frame = append(frame, laneLine(lane, limits, now))
	}
	if len(summary.Lanes) == 0 {
		frame = append(frame, topLine{label: "lanes", text: "nothing waits, is held or is active"})
	}
	frame = append(frame, gateLine(summary, limits, why, now))
	if len(summary.Held) > 0 {
		frame = append(frame, heldLine(summary.Held))
	}
	shut := map[string]bool{}
	for _, lane := range summary.Lanes {
		shut[lane.Cluster] = shut[lane.Cluster] || lane.Shut != ""
	}
	for i, task := range summary.Oldest {
		frame = append(frame, topLine{label: first(i, "oldest"), text: waitingText(task, shut[task.Cluster], now)})
	}
	return append(frame, failedLines(summary.Failed, now)...)
}

// first is the label of the first line of several.
func first(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

func laneName(lane rest.Lane) string { return strings.TrimSuffix(lane.Kind+"/"+lane.Cluster, "/") }

func laneLine(lane rest.Lane, limits map[string]tune.LaneLimit, now time.Time) topLine {
	name := laneName(lane)
	line := topLine{label: name}
	inFlight := fmt.Sprintf("%d in flight", lane.Submitting)
	if bound, known := limits[name]; known {
		inFlight += fmt.Sprintf(" of %g", bound.Limit)
		if lane.Pending > 0 && float64(lane.Submitting) >= bound.Limit {
			line.mood = busy
		}
	}
	line.text = fmt.Sprintf("%s, %d waiting%s, %d held, %d active", inFlight, lane.Pending, oldestFor(lane.Oldest, now), lane.Held, lane.Active)
	if lane.PerSecond > 0 {
		line.text += fmt.Sprintf("; %.2f/s, %s in the queue, 99 of 100 within %s", lane.PerSecond, seconds(lane.WaitHalf), seconds(lane.WaitMost))
	}
	if lane.Shut != "" {
		line.text, line.mood = line.text+"; "+lane.Shut, wrong
	}
	return line
}

func oldestFor(at *time.Time, now time.Time) string {
	if at == nil {
		return ""
	}
	return " (the oldest for " + duration.HumanDuration(now.Sub(*at)) + ")"
}

func seconds(value float64) string {
	return time.Duration(value * float64(time.Second)).Round(10 * time.Millisecond).String()
}

// gateLine tells of the backlog gate, and who holds it where it is closed.
func gateLine(summary rest.QueueSummary, limits map[string]tune.LaneLimit, why string, now time.Time) topLine {
	if limits == nil {
		return topLine{label: "gate", text: "limits and the backlog gate are not known: " + why}
	}
	var closed []string
	for _, lane := range summary.Lanes {
		if limits[laneName(lane)].GateClosed {
			closed = append(closed, laneName(lane))
		}
	}
	if len(closed) == 0 {
		return topLine{label: "gate", text: "open"}
	}
	var holders []string
	for _, holder := range summary.Active {
		holders = append(holders, fmt.Sprintf("%s/%s (for %s)", holder.Namespace, holder.WorkflowName, duration.HumanDuration(now.Sub(holder.Since))))
	}
	text := "closed for " + strings.Join(closed, ", ")
	if len(holders) > 0 {
		text += "; the oldest Workflows are " + strings.Join(holders, ", ")
	}
	return topLine{label: "gate", text: text, mood: wrong}
}

func heldLine(held []rest.HeldReason) topLine {
	reasons := make([]string, len(held))
	for i, one := range held {
		reasons[i] = fmt.Sprintf("%s %d", one.Reason, one.Tasks)
	}
	return topLine{label: "held", text: strings.Join(reasons, ", ")}
}

// waitingText says who waits, and why.
func waitingText(task rest.Task, isShut bool, now time.Time) string {
	text := strings.TrimSpace(fmt.Sprintf("%s/%s %s", task.Namespace, task.Pipeline, task.Stage))
	if task.Build != "" {
		text += " of " + task.Build
	}
	text += inCluster(task.Cluster)
	text += " for " + duration.HumanDuration(now.Sub(task.QueuedAt))
	switch {
	case task.Reason != "" && task.Message != "":
		text += ": " + task.Reason + ": " + task.Message
	case task.Reason != "" || task.Message != "":
		text += ": " + task.Reason + task.Message
	case isShut:
		text += ": for its cluster"
	default:
		text += ": for a slot"
	}
	if task.NotBefore != nil && task.NotBefore.After(now) {
		text += ", tried again in " + duration.HumanDuration(task.NotBefore.Sub(now))
	}
	return text
}

func failedLines(failed rest.Failures, now time.Time) []topLine {
	window := duration.HumanDuration(time.Duration(failed.WindowSeconds) * time.Second)
	if failed.Count == 0 {
		return []topLine{{label: "failed", text: "none in " + window}}
	}
	lines := []topLine{{label: "failed", text: fmt.Sprintf("%d in %s", failed.Count, window), mood: wrong}}
	for _, task := range failed.Items {
		text := strings.TrimSpace(fmt.Sprintf("%s/%s %s", task.Namespace, task.Pipeline, task.Stage))
		text += fmt.Sprintf(" %s %s ago", reasoned(task.State, task.Reason), duration.HumanDuration(now.Sub(task.At)))
		if task.Message != "" {
			text += ": " + task.Message
		}
		lines = append(lines, topLine{text: text})
	}
	return lines
}
