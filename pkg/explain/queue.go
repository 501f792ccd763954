package explain

import (
	"fmt"
	"math"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// claimed is what a task waits for whose Workflow is about to be created.
func claimed(by *Controller) string {
	text := "its Workflow to be created: it is among the next"
	if by != nil && !by.Silent {
		text += fmt.Sprintf(", %d of %d slots are in use", by.InFlight, by.Limit)
	}
	return text
}

// slot says where a task is in the queue, and how long that may take.
func slot(task Task, by *Controller) string {
	text := WaitsFor(v1alpha1.ReasonTriggersPending)
	if by != nil && !by.Silent {
		text += fmt.Sprintf(": %d of %d are in use", by.InFlight, by.Limit)
	}
	return text + "; " + estimate(task, by)
}

// estimate says how long the queue may take, and by what that is judged.
func estimate(task Task, by *Controller) string {
	place := fmt.Sprintf("%d before it", task.Ahead)
	switch {
	case task.Ahead < 0:
		place = fmt.Sprintf("more than %d before it", task.Most)
	case task.Ahead == 0:
		return "it is the next"
	}
	if by == nil || by.Silent || by.Triggered == 0 || by.Observed <= 0 {
		return place + ", and nothing by which to tell how long that takes"
	}
	rate := float64(by.Triggered) / by.Observed.Seconds()
	basis := fmt.Sprintf("%s, %s triggered per second over the last %s", place, number(rate), last(by.Observed))
	if task.Ahead < 0 {
		return fmt.Sprintf("more than %s: %s", span(time.Duration(float64(task.Most)/rate*float64(time.Second))), basis)
	}
	return fmt.Sprintf("about %s: %s", span(time.Duration(float64(task.Ahead)/rate*float64(time.Second))), basis)
}

// last completes "over the last".
func last(d time.Duration) string {
	if d == time.Minute {
		return "minute"
	}
	return span(d)
}

// number is a rate with two digits that count.
func number(rate float64) string {
	if rate >= 10 {
		return fmt.Sprintf("%.0f", rate)
	}
	return fmt.Sprintf("%.2g", rate)
}

// span is a duration as people say it: seconds up to two minutes, then minutes, then hours.
func span(d time.Duration) string {
	seconds := max(math.Round(d.Seconds()), 1)
	switch {
	case seconds < 120:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 7200:
		return fmt.Sprintf("%.0f min", math.Round(seconds/60))
	default:
		return fmt.Sprintf("%.0f h", math.Round(seconds/3600))
	}
}
