package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/threshold"
)

//go:embed thresholds.yaml
var thresholdsFile []byte

func loadThresholds() (map[string]threshold.Thresholds, error) {
	return threshold.Parse(thresholdsFile)
}

// suite runs scenarios one after the other.
type suite struct {
	stage *stage.Stage
	// dir takes the JSON files.
	dir string
	// thresholds judge the results; none judges nothing.
	thresholds threshold.Thresholds
}

// run runs the scenarios of these names, or all. One that fails does not keep the
// others from running; the end of the context does.
func (s suite) run(ctx context.Context, names []string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if s.stage.Rounds < 1 {
		return errors.New("--rounds must be at least 1")
	}
	// Each scenario knows how its Postgres is configured, and fills it.
	if err := os.Unsetenv("DATABASE_URL"); err != nil {
		return err
	}
	var errs []error
	for _, scenario := range chosen {
		if err := s.one(ctx, scenario); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", scenario.Name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func choose(names []string) ([]stage.Scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	chosen := make([]stage.Scenario, len(names))
	for i, name := range names {
		found := slices.IndexFunc(scenarios, func(s stage.Scenario) bool { return s.Name == name })
		if found < 0 {
			return nil, fmt.Errorf("there is no scenario %q: see bench list", name)
		}
		chosen[i] = scenarios[found]
	}
	return chosen, nil
}

func (s suite) one(ctx context.Context, scenario stage.Scenario) error {
	fmt.Printf("\n%s: %s\n", scenario.Name, scenario.Sentence)
	began := time.Now()
	result, err := scenario.Run(ctx, s.stage)
	if err != nil {
		return err
	}
	text, err := marshal(result, s.stage.ThisMachine(ctx))
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, scenario.Name+".json")
	if err := write(path, text); err != nil {
		return err
	}
	printTable(result.Table())
	fmt.Printf("\n  %s, in %.0f s\n", path, time.Since(began).Seconds())
	return s.judge(scenario.Name, text)
}

// marshal puts the machine beside the result's own fields.
func marshal(result stage.Result, machine stage.Machine) ([]byte, error) {
	text, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("marshal result: %w", err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, fmt.Errorf("marshal result: %w", err)
	}
	fields["machine"] = machine
	return json.MarshalIndent(fields, "", "  ")
}

func write(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make folder for results: %w", err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

func printTable(rows [][]string) {
	fmt.Println()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintln(table, "  "+strings.Join(row, "\t")+"\t")
	}
	_ = table.Flush() // a terminal that is gone
}

// judge fails with every number that is not as it must be.
func (s suite) judge(name string, result []byte) error {
	verdicts, err := s.thresholds.Judge(name, result)
	if err != nil {
		return err
	}
	var errs []error
	for _, verdict := range verdicts {
		mark := "ok  "
		if !verdict.Met {
			mark = "MISS"
			errs = append(errs, fmt.Errorf("%s is %.4g, must be %s", verdict.Field, verdict.Got, verdict.Want))
		}
		fmt.Printf("  %s  %s is %.4g, must be %s\n", mark, verdict.Field, verdict.Got, verdict.Want)
	}
	return errors.Join(errs...)
}
