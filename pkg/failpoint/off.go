//go:build !failpoints

package failpoint

import "errors"

// Enable returns an error unless the text, the value of Variable, is empty: this
// binary has no failpoints.
func Enable(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(Variable + " is set, but this binary is built without failpoints: unset it, or build with -tags failpoints")
}

// Hit says that a step is passed.
func Hit(Name) {}

// Error is Hit for a step that can fail. It returns nil.
func Error(Name) error { return nil }
