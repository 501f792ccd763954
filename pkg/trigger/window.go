package trigger

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// windowSteps bounds how many times a window may open and close before the one that is
	// looked for, and windowHorizon how far ahead that is.
	windowSteps   = 500
	windowHorizon = 366 * 24 * time.Hour
)

// calendar are the fields of a schedule: those of crontab. Intervals from now on (@every)
// and time zones inside the text (TZ=) are no calendar.
var calendar = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// window is a Window that was understood.
type window struct {
	kind     v1alpha1.WindowKind
	schedule cron.Schedule
	duration time.Duration
	zone     *time.Location
}

// Windows are the windows of a pipeline.
type Windows []window

// ParseWindows understands the windows of a pipeline. The error names the field and what
// is allowed.
func ParseWindows(specs []v1alpha1.Window) (Windows, error) {
	windows := make(Windows, len(specs))
	for i, spec := range specs {
		one, err := parseWindow(spec)
		if err != nil {
			return nil, fmt.Errorf("spec.windows[%d].%w", i, err)
		}
		windows[i] = one
	}
	return windows, nil
}

func parseWindow(spec v1alpha1.Window) (window, error) {
	if strings.Contains(spec.Schedule, "=") || strings.HasPrefix(spec.Schedule, "@every") {
		return window{}, fmt.Errorf("schedule is %q: must be five fields as in crontab, or @daily; the time zone belongs into timeZone", spec.Schedule)
	}
	schedule, err := calendar.Parse(spec.Schedule)
	if err != nil {
		return window{}, fmt.Errorf("schedule is %q: %w", spec.Schedule, err)
	}
	zone, err := time.LoadLocation(spec.TimeZone)
	if err != nil || spec.TimeZone == "Local" {
		return window{}, fmt.Errorf("timeZone is %q: must be a name of the IANA database, such as Europe/Berlin", spec.TimeZone)
	}
	if spec.Duration.Duration <= 0 {
		return window{}, fmt.Errorf("duration is %s: must be positive", spec.Duration.Duration)
	}
	return window{kind: spec.Kind, schedule: schedule, duration: spec.Duration.Duration, zone: zone}, nil
}

// isOpen tells whether the window is open at the time, and when that may change: its next
// opening, or the end of the opening that began first.
func (w window) isOpen(at time.Time) (open bool, changes time.Time) {
	at = at.In(w.zone)
	began := w.schedule.Next(at.Add(-w.duration)) // the first that has not ended yet
	if began.IsZero() {
		return false, time.Time{} // never again, such as on 30 February
	}
	if !began.After(at) {
		return true, began.Add(w.duration)
	}
	return false, began
}

// let tells whether a stage may start at the time, and when that may change next; never
// where the time is zero.
func (ws Windows) let(at time.Time) (let bool, changes time.Time) {
	let, allowed, needsAllowed := true, false, false
	for _, w := range ws {
		open, next := w.isOpen(at)
		if !next.IsZero() && (changes.IsZero() || next.Before(changes)) {
			changes = next
		}
		switch w.kind {
		case v1alpha1.WindowDeny:
			let = let && !open
		default:
			needsAllowed, allowed = true, allowed || open
		}
	}
	return let && (allowed || !needsAllowed), changes
}

// Closed tells whether no stage may start at the time, and when one may again; the time is
// zero where that is not within a year.
func (ws Windows) Closed(at time.Time) (closed bool, opens time.Time) {
	let, changes := ws.let(at)
	if let {
		return false, time.Time{}
	}
	for range windowSteps {
		if changes.IsZero() || changes.Sub(at) > windowHorizon {
			break
		}
		opens := changes
		if let, changes = ws.let(opens); let {
			return true, opens.UTC()
		}
	}
	return true, time.Time{}
}

// WindowHold is what holds a stage at the time because of the pipeline's windows. Windows
// that can't be understood hold it: they may have been meant to.
func WindowHold(pipeline *v1alpha1.CdPipeline, at time.Time) Hold {
	if len(pipeline.Spec.Windows) == 0 {
		return Hold{}
	}
	windows, err := ParseWindows(pipeline.Spec.Windows)
	if err != nil {
		return Hold{v1alpha1.ReasonWindow, fmt.Sprintf("%v; until that is corrected nothing starts, but for what a RunRequest with action Resume lets go on", err)}
	}
	closed, opens := windows.Closed(at)
	switch {
	case !closed:
		return Hold{}
	case opens.IsZero():
		return Hold{v1alpha1.ReasonWindow, "spec.windows let nothing start within a year: correct them, or create a RunRequest with action Resume"}
	default:
		return Hold{v1alpha1.ReasonWindow, fmt.Sprintf("spec.windows let nothing start before %s: wait, or create a RunRequest with action Resume", opens.Format(time.RFC3339))}
	}
}
