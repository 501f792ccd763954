// Package threshold observes results and says which of them are not as they must
// be; it writes nothing.
package threshold

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"
)

// Thresholds are what results must be, by the name of the scenario.
type Thresholds map[string][]Threshold

// Threshold bounds one number of a result. It has exactly one bound.
type Threshold struct {
	// Field is the path of the number, such as limits[n=5].speedup.
	Field string `json:"field"`

	AtLeast     *float64 `json:"at_least,omitempty"`
	AtMost      *float64 `json:"at_most,omitempty"`
	Below       *float64 `json:"below,omitempty"`
	AtMostField string   `json:"at_most_field,omitempty"` // another number of the same result
}

// Verdict is how one threshold was met.
type Verdict struct {
	Field string
	Got   float64
	// Want is the bound in words.
	Want string
	Met  bool
}

// Parse reads sets of thresholds, by name. Whatever it does not understand is an
// error.
func Parse(text []byte) (map[string]Thresholds, error) {
	var sets map[string]Thresholds
	if err := yaml.UnmarshalStrict(text, &sets); err != nil {
		return nil, fmt.Errorf("parse thresholds: %w", err)
	}
	for set, thresholds := range sets {
		for scenario, list := range thresholds {
			for _, threshold := range list {
				if threshold.bounds() != 1 {
					return nil, fmt.Errorf("parse thresholds: %s of %s in %s needs exactly one bound", threshold.Field, scenario, set)
				}
			}
		}
	}
	return sets, nil
}

func (t Threshold) bounds() int {
	count := 0
	for _, is := range []bool{t.AtLeast != nil, t.AtMost != nil, t.Below != nil, t.AtMostField != ""} {
		if is {
			count++
		}
	}
	return count
}

// Judge compares a result, as JSON, with the thresholds of its scenario. It is an
// error when a field is not there: what was not measured is not met.
func (t Thresholds) Judge(scenario string, result []byte) ([]Verdict, error) {
	var object map[string]any
	if err := json.Unmarshal(result, &object); err != nil {
		return nil, fmt.Errorf("judge %s: %w", scenario, err)
	}
	verdicts := make([]Verdict, 0, len(t[scenario]))
	for _, threshold := range t[scenario] {
		verdict, err := threshold.judge(object)
		if err != nil {
			return nil, fmt.Errorf("judge %s: %w", scenario, err)
		}
		verdicts = append(verdicts, verdict)
	}
	return verdicts, nil
}

func (t Threshold) judge(result map[string]any) (Verdict, error) {
	got, err := Number(result, t.Field)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Field: t.Field, Got: got}
	switch {
	case t.AtLeast != nil:
		v.Want, v.Met = fmt.Sprintf("at least %v", *t.AtLeast), got >= *t.AtLeast
	case t.AtMost != nil:
		v.Want, v.Met = fmt.Sprintf("at most %v", *t.AtMost), got <= *t.AtMost
	case t.Below != nil:
		v.Want, v.Met = fmt.Sprintf("below %v", *t.Below), got < *t.Below
	default:
		most, err := Number(result, t.AtMostField)
		if err != nil {
			return Verdict{}, err
		}
		v.Want, v.Met = fmt.Sprintf("at most %v, which is %s", most, t.AtMostField), got <= most
	}
	return v, nil
}
