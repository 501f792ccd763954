package webhook

import (
	"bytes"
	"errors"

	"sigs.k8s.io/json"
)

const (
	// maxDepth is how deep a payload may nest. The deepest that is known has ten levels.
	maxDepth = 64
	// maxValues is how many values a payload may have. As Go values each takes up to 20 times
	// the two bytes that it may have as JSON.
	maxValues = 300_000
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// decode reads JSON into a value. Names of fields are case-sensitive, and a name that occurs
// twice is refused where it is read: decoders differ in which one counts, so that a filter
// could see another value than what is acted upon.
func decode(payload []byte, into any) error {
	payload = bytes.TrimPrefix(payload, byteOrderMark)
	if err := checkShape(payload); err != nil {
		return err
	}
	duplicates, err := json.UnmarshalStrict(payload, into, json.DisallowDuplicateFields)
	if err != nil {
		return malformed("read JSON: %w", err)
	}
	if len(duplicates) > 0 {
		return malformed("read JSON: %w", duplicates[0])
	}
	return nil
}

// checkShape bounds the depth and the number of values in one pass that allocates nothing. It
// does not check that the payload is JSON: what it takes for depth in a payload that is none
// does not matter.
func checkShape(payload []byte) error {
	depth, values, quoted, escaped := 0, 0, false, false
	for _, char := range payload {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = char == '\\', char != '"'
		case char == '"':
			quoted = true
		case char == '{', char == '[':
			depth, values = depth+1, values+1
		case char == '}', char == ']':
			depth--
		case char == ',':
			values++
		}
		if depth > maxDepth {
			return malformed("read JSON: %w", errTooDeep)
		}
		if values > maxValues {
			return malformed("read JSON: %w", errTooMany)
		}
	}
	return nil
}

var (
	errTooDeep = errors.New("nests more than 64 levels deep")
	errTooMany = errors.New("has more than 300000 values")
)
