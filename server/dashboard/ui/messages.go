package ui

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MessagesFilter is what deliveries or notifications are narrowed down to. Of is a Receiver or
// a NotificationChannel.
type MessagesFilter struct{ Namespace, Of, Failed, Cursor string }

func (f Frame) messages(section, of string, filter MessagesFilter, failed, cursor string) string {
	return f.With(f.Path(section), "namespace", filter.Namespace, of, filter.Of, "failed", failed, "cursor", cursor)
}

func nextMessages(f Frame, section, of string, filter MessagesFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.messages(section, of, filter, filter.Failed, next)
}

// outcomeTone is how the outcome of a delivery looks.
func outcomeTone(state, outcome string) string {
	switch outcome {
	case "Malformed", "Refused", "Failed":
		return "Failed"
	}
	return state
}

// cameOfIt is the outcome of a delivery and what was said of it, which may begin with it.
func cameOfIt(outcome, message string) string {
	if outcome == "" || strings.HasPrefix(message, outcome) {
		return message
	}
	return strings.TrimSuffix(outcome+": "+message, ": ")
}

func headerNames(headers map[string]string) []string { return slices.Sorted(maps.Keys(headers)) }

func id(n int64) string { return strconv.FormatInt(n, 10) }
