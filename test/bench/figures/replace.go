package figures

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/test/bench/threshold"
)

// A figure in a document is what stands between two comments:
//
//	<!-- figure: at_limit efficiency %.2f -->0.98<!-- /figure -->
//	<!-- figure: scale rss_bytes_peak /1048576 %.0f -->98<!-- /figure -->
//	<!-- figure: at_limit machine -->2 cores, …<!-- /figure -->
//
// It names the scenario, the path of the number in its JSON (as thresholds.yaml
// writes it), what it is multiplied with or divided by, and how it is printed.
var (
	figure = regexp.MustCompile(`<!-- figure: ([^>]*) -->([^<]*)<!-- /figure -->`)
	marker = regexp.MustCompile(`<!--\s*/?figure`)
	number = regexp.MustCompile(`^([a-z_]+) (\S+)(?: ([*/])(\d+))? (%\.\d+f)$`)
	ofWhat = regexp.MustCompile(`^([a-z_]+) machine$`)
)

// result is the JSON of one scenario.
type result = map[string]any

// errNotMeasured says that there are no figures of a scenario, or none of its full size.
var errNotMeasured = errors.New("not measured in full")

// replace returns the text with every figure as results have it, and the scenarios
// that were not measured, whose figures stay as they are.
func replace(text string, results func(scenario string) (result, error)) (string, []string, error) {
	if found := len(figure.FindAllString(text, -1)); 2*found != len(marker.FindAllString(text, -1)) {
		return "", nil, fmt.Errorf("a figure is not of the form %s", figure)
	}
	var missing []string
	var failures []error
	replaced := figure.ReplaceAllStringFunc(text, func(found string) string {
		parts := figure.FindStringSubmatch(found)
		scenario, _, _ := strings.Cut(parts[1], " ")
		measured, err := results(scenario)
		if errors.Is(err, errNotMeasured) {
			missing = append(missing, scenario)
			return found
		}
		value := ""
		if err == nil {
			value, err = shown(parts[1], measured)
		}
		failures = append(failures, err)
		return "<!-- figure: " + parts[1] + " -->" + value + "<!-- /figure -->"
	})
	return replaced, slices.Compact(slices.Sorted(slices.Values(missing))), errors.Join(failures...)
}

// shown is the figure that the comment asks for.
func shown(comment string, measured result) (string, error) {
	if ofWhat.MatchString(comment) {
		return machine(measured)
	}
	parts := number.FindStringSubmatch(comment)
	if parts == nil {
		return "", fmt.Errorf("%q names no figure", comment)
	}
	value, err := threshold.Number(measured, parts[2])
	if err != nil {
		return "", fmt.Errorf("%s: %w", parts[1], err)
	}
	if parts[3] != "" {
		by, err := strconv.ParseFloat(parts[4], 64)
		if err != nil {
			return "", err
		}
		if parts[3] == "/" {
			by = 1 / by
		}
		value *= by
	}
	return fmt.Sprintf(parts[5], value), nil
}

// machine says on what a scenario was measured.
func machine(measured result) (string, error) {
	on, ok := measured["machine"].(map[string]any)
	if !ok {
		return "", errors.New("the result does not say on which machine it was measured")
	}
	day, err := time.Parse(time.RFC3339, fmt.Sprint(on["date"]))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v cores, %v, %v, commit %v, %s", on["cores"], on["os"], on["go"], on["commit"], day.Format(time.DateOnly)), nil
}

// resultOf reads what make bench wrote into the folder. A small run is for a quick look, and no figure.
func resultOf(folder, scenario string) (result, error) {
	text, err := os.ReadFile(filepath.Join(folder, scenario+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotMeasured
	}
	if err != nil {
		return nil, err
	}
	var measured result
	if err := json.Unmarshal(text, &measured); err != nil {
		return nil, fmt.Errorf("%s: %w", scenario, err)
	}
	if on, _ := measured["machine"].(map[string]any); on["size"] != "full" {
		return nil, errNotMeasured
	}
	return measured, nil
}
