package threshold

import (
	"fmt"
	"regexp"
	"strings"
)

// step is one part of a path: a field, and which element of the list in it.
var step = regexp.MustCompile(`^([a-z0-9_]+)(?:\[([^\]]+)\])?(?:\.|$)`)

// Number returns the number at a path such as
// approaches[name=pool,tasks=1000].seconds in what a JSON object was read into.
func Number(result map[string]any, path string) (float64, error) {
	var value any = result
	for rest := path; rest != ""; {
		parts := step.FindStringSubmatch(rest)
		if parts == nil {
			return 0, fmt.Errorf("%s is not a path", path)
		}
		rest = rest[len(parts[0]):]
		object, ok := value.(map[string]any)
		if !ok {
			return 0, fmt.Errorf("%s: there is no %s", path, parts[1])
		}
		value = object[parts[1]]
		if parts[2] != "" {
			value = element(value, parts[2])
		}
	}
	found, ok := value.(float64)
	if !ok {
		return 0, fmt.Errorf("%s is not a number that was measured", path)
	}
	return found, nil
}

// element returns the first element of a list that has all the fields, or nil.
func element(list any, fields string) any {
	elements, _ := list.([]any)
	for _, candidate := range elements {
		if object, ok := candidate.(map[string]any); ok && hasAll(object, fields) {
			return object
		}
	}
	return nil
}

func hasAll(object map[string]any, fields string) bool {
	for field := range strings.SplitSeq(fields, ",") {
		name, want, _ := strings.Cut(field, "=")
		if value, ok := object[name]; !ok || text(value) != want {
			return false
		}
	}
	return true
}

// text is a value as a path writes it: a whole number without an exponent.
func text(value any) string {
	if number, ok := value.(float64); ok {
		return fmt.Sprintf("%.0f", number)
	}
	return fmt.Sprint(value)
}
