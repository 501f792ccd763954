//go:build failpoints

package failpoint

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	kill  = "kill"
	crash = "panic"
	stall = "stall"
	fail  = "error"
)

// item is name=action or name=n*action, and an action may have an argument.
var item = regexp.MustCompile(`^([^=]+)=(?:([1-9][0-9]{0,8})\*)?([a-z]+)(?:\(([^)]*)\))?$`)

func parse(text string) (map[Name]*action, error) {
	actions := map[Name]*action{}
	for part := range strings.SplitSeq(text, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, happens, err := parseItem(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		if _, twice := actions[name]; twice {
			return nil, fmt.Errorf("%q: %s is named twice", part, name)
		}
		actions[name] = happens
	}
	return actions, nil
}

func parseItem(part string) (Name, *action, error) {
	match := item.FindStringSubmatch(part)
	if match == nil {
		return "", nil, errors.New("want name=action or name=n*action")
	}
	name, count, kind, argument := Name(match[1]), match[2], match[3], match[4]
	canFail, known := Points()[name]
	if !known {
		return "", nil, fmt.Errorf("no failpoint %q, want one of %v", name, slices.Sorted(maps.Keys(Points())))
	}
	happens := &action{kind: kind}
	if err := happens.check(canFail, argument); err != nil {
		return "", nil, err
	}
	at := int64(1)
	if count != "" {
		at, _ = strconv.ParseInt(count, 10, 64) // at most nine digits
	}
	happens.in.Store(at)
	return name, happens, nil
}

// check also parses the argument.
func (a *action) check(canFail bool, argument string) error {
	switch a.kind {
	case kill, crash:
	case fail:
		if !canFail {
			return errors.New("this step can't return an error")
		}
	case stall:
		duration, err := time.ParseDuration(argument)
		if err != nil || duration <= 0 {
			return fmt.Errorf("stall(%s): want a duration, such as stall(30s)", argument)
		}
		a.stall = duration
		return nil
	default:
		return fmt.Errorf("no action %q, want %s, %s, %s(30s) or %s", a.kind, kill, crash, stall, fail)
	}
	if argument != "" {
		return fmt.Errorf("%s takes no argument", a.kind)
	}
	return nil
}
