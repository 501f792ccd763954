package config

import "fmt"

const redacted = "[redacted]"

// Secret is a value that no log line, error or JSON document shows.
type Secret string

// Reveal returns the value itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Format writes a placeholder whatever the verb, so that %v, %+v, %#v, %q and %x
// are all safe.
func (s Secret) Format(state fmt.State, _ rune) {
	_, _ = state.Write([]byte(s.String()))
}

// String returns a placeholder, or nothing for an empty Secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// MarshalText encodes the placeholder, which covers JSON and YAML too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
