package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// vulnerability is one that our code reaches.
type vulnerability struct {
	ID, Summary     string
	Module, Version string
	Fixed           string // empty where nothing is mended yet
}

func (v vulnerability) mended() string {
	if v.Fixed == "" {
		return "mended nowhere"
	}
	return "mended in " + v.Fixed
}

// message is one of govulncheck's stream
// (golang.org/x/vuln/internal/govulncheck, Message, protocol v1).
type message struct {
	OSV     *struct{ ID, Summary string }
	Finding *struct {
		OSV          string
		FixedVersion string `json:"fixed_version"`
		// Trace begins at what is vulnerable. It names a function only where that is
		// called.
		Trace []struct{ Module, Version, Function string }
	}
}

// read returns the vulnerabilities that are called, by id. A stream that tells nothing
// is an error: the scan has failed.
func read(scan io.Reader) ([]vulnerability, error) {
	summaries, called := map[string]string{}, map[string]vulnerability{}
	messages := 0
	for decoder := json.NewDecoder(scan); ; messages++ {
		var next message
		err := decoder.Decode(&next)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read what govulncheck prints: %w", err)
		}
		if next.OSV != nil {
			summaries[next.OSV.ID] = next.OSV.Summary
		}
		if f := next.Finding; f != nil && len(f.Trace) > 0 && f.Trace[0].Function != "" {
			called[f.OSV] = vulnerability{ID: f.OSV, Module: f.Trace[0].Module, Version: f.Trace[0].Version, Fixed: f.FixedVersion}
		}
	}
	if messages == 0 {
		return nil, errors.New("govulncheck has printed nothing")
	}
	found := slices.SortedFunc(maps.Values(called), func(a, b vulnerability) int { return cmp.Compare(a.ID, b.ID) })
	for i := range found {
		found[i].Summary = summaries[found[i].ID]
	}
	return found, nil
}
