package ui

import (
	"github.com/penstock-cd/penstock/api/rest"
)

// ApplicationsFilter is what the list of applications is narrowed down to.
type ApplicationsFilter struct{ Search, Environment, State, Cursor string }

// tab is one choice above a list, with how many items it has.
type tab struct {
	label, value string
	count        int64
}

func applicationTabs(counts rest.OverviewCounts) []tab {
	return []tab{
		{"All", "", counts.Failing + counts.Waiting + counts.Active + counts.OK + counts.New},
		{"Failing", "Failing", counts.Failing}, {"Waiting", "Waiting", counts.Waiting}, {"Active", "Active", counts.Active},
		{"OK", "OK", counts.OK}, {"New", "New", counts.New},
	}
}

func (f Frame) applications(filter ApplicationsFilter, state, cursor string) string {
	return f.With(f.Path(), "search", filter.Search, "environment", filter.Environment, "state", state, "cursor", cursor)
}

// segment is a part of a bar.
type segment struct {
	tone     string
	from, to int64
}

// segments divide a bar of 1000 by what the pipelines of an application came to.
func segments(item rest.ApplicationItem) []segment {
	if item.CdPipelines == 0 {
		return nil
	}
	parts, at := []segment{}, int64(0)
	for _, part := range []struct {
		tone string
		n    int64
	}{{"bad", item.Runs.Failed}, {"wait", item.Runs.Waiting}, {"busy", item.Runs.Active}, {"good", item.Runs.Succeeded}} {
		if part.n > 0 {
			parts = append(parts, segment{part.tone, at * 1000 / item.CdPipelines, (at + part.n) * 1000 / item.CdPipelines})
			at += part.n
		}
	}
	return parts
}

// progress says the same as the bar in words.
func progress(item rest.ApplicationItem) string {
	text := ""
	for _, part := range []struct {
		word string
		n    int64
	}{{"failed", item.Runs.Failed}, {"waiting", item.Runs.Waiting}, {"active", item.Runs.Active}, {"succeeded", item.Runs.Succeeded}} {
		if part.n > 0 {
			text += ", " + count(part.n) + " " + part.word
		}
	}
	if item.CdPipelines == 0 {
		return "none"
	}
	if text == "" {
		return many(item.CdPipelines, "CD pipeline") + ", no runs yet"
	}
	return text[2:] + " of " + count(item.CdPipelines)
}

// nextApplications is the address of the next page; empty at the end.
func nextApplications(f Frame, filter ApplicationsFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.applications(filter, filter.State, next)
}
