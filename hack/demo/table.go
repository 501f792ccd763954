package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

const (
	mostWrites        = 1.1
	mostDispatchConns = 2
)

// line is one row of the table: what was measured, what must be, and whether it is.
type line struct {
	what, got, want string
	ok              bool
}

func (f *facts) lines() []line {
	wantDecisions := map[string]int{"Triggered/Triggered": wantRuns, "Skipped/Suspended": 1, "Skipped/FilteredOut": 1}
	return append([]line{
		same("children", direct+chain, f.decided()),
		{"decisions", counted(f.decisions), counted(wantDecisions), counted(f.decisions) == counted(wantDecisions)},
		same("triggered", wantRuns, f.decisions["Triggered/Triggered"]),
		same("rows: runs", wantRuns, f.rows),
		same("rows: stages", wantStages, f.stages),
		same("Workflows", wantStages, f.workflows),
		{"end states by Argo", counted(f.phases), fmt.Sprintf("%d Succeeded", wantStages), f.phases["Succeeded"] == wantStages},
		{"most in flight", fmt.Sprint(f.mostInFlight), fmt.Sprintf("1 to %d", batchSize), f.mostInFlight >= 1 && f.mostInFlight <= batchSize},
		{"API writes per trigger", fmt.Sprintf("%.2f", f.writesPerTrigger), fmt.Sprintf("1 to %.1f", mostWrites), f.writesPerTrigger >= 1 && f.writesPerTrigger <= mostWrites},
		{"dispatch's connections", fmt.Sprint(f.dispatchConns), fmt.Sprintf("at most %d", mostDispatchConns), f.dispatchConns <= mostDispatchConns},
		{"controller's connections", fmt.Sprint(f.conns), "1 to 10", f.conns >= 1 && f.conns <= 10},
		{"machine left by others", fmt.Sprintf("%.0f %%", 100*f.share), "less gives time", f.share > 0},
		within("success to first Workflow", f.first, mostFirst(f.share)),
		within(fmt.Sprintf("success to last of %d", triggered), f.last, mostLast(f.answers, f.share)),
	}, slices.Concat(f.steered.lines(), f.rebuilds.lines(), f.pushed.lines(), f.seen.lines())...)
}

func (f *facts) decided() int {
	sum := 0
	for _, count := range f.decisions {
		sum += count
	}
	return sum
}

func same[T comparable](what string, want, got T) line {
	return line{what, fmt.Sprint(got), fmt.Sprint(want), got == want}
}

func within(what string, got, most time.Duration) line {
	return line{what, got.Round(time.Millisecond).String(), "at most " + most.Round(time.Millisecond).String(), got > 0 && got <= most}
}

// print shows the table; it is an error when a line is not what it must be.
func (f *facts) print() error {
	fmt.Println()
	writer := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(writer, "\tMEASURED\tMUST BE\t")
	wrong := 0
	for _, line := range f.lines() {
		mark := "ok"
		if !line.ok {
			mark = "WRONG"
			wrong++
		}
		fmt.Fprintf(writer, "%s\t%s\t%s\t%s\n", line.what, line.got, line.want, mark)
	}
	if err := writer.Flush(); err != nil {
		return err
	}
	if wrong > 0 {
		return errors.New("the table shows what is not as promised")
	}
	return nil
}
