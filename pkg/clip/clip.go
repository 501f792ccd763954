// Package clip shortens text to what its place takes.
package clip

import "strings"

// Text returns the text, or as much of its beginning as fits with an ellipsis into that
// many bytes, of which there must be three. No character is cut in two.
func Text(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

// maxNote is the most bytes that the events API takes (k8s.io/kubernetes,
// pkg/apis/core/validation/events.go: NoteLengthLimit).
const maxNote = 1024

// Note returns as much of an event's note as the events API takes.
func Note(text string) string { return Text(text, maxNote) }
