package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is what a field's tags allow: in words, and as a test of the parsed value.
type rule struct {
	allowed string
	holds   func(reflect.Value) bool
}

// ruleOf reads the rule of a field. It panics on tags that make no rule: that is a
// mistake in this package, which its tests meet first.
func ruleOf(field reflect.StructField) rule {
	switch field.Type {
	case reflect.TypeFor[BatchSize]():
		return batchSizeRule(field.Tag)
	case reflect.TypeFor[Freeze]():
		return freezeRule()
	case reflect.TypeFor[Retention]():
		return retentionRule(field.Tag)
	case reflect.TypeFor[bool]():
		return rule{"true or false", func(reflect.Value) bool { return true }}
	case reflect.TypeFor[time.Duration]():
		return durationRule(field.Tag)
	case reflect.TypeFor[int]():
		return intRule(field.Tag)
	case reflect.TypeFor[[]string]():
		return listRule(field.Tag)
	}
	if choices, ok := field.Tag.Lookup("oneof"); ok {
		return choiceRule(strings.Fields(choices))
	}
	return formatRule(field.Tag)
}

func durationRule(tag reflect.StructTag) rule {
	least, most := must(time.ParseDuration(tag.Get("min"))), must(time.ParseDuration(tag.Get("max")))
	return rule{
		allowed: fmt.Sprintf("a duration from %s to %s, such as %s", tag.Get("min"), tag.Get("max"), tag.Get("envDefault")),
		holds: func(value reflect.Value) bool {
			return value.Int() >= least.Nanoseconds() && value.Int() <= most.Nanoseconds()
		},
	}
}

func intRule(tag reflect.StructTag) rule {
	most := int64(must(strconv.Atoi(tag.Get("max"))))
	lowest, bounded := tag.Lookup("min")
	if !bounded {
		return rule{
			allowed: fmt.Sprintf("a whole number up to %d", most),
			holds:   func(value reflect.Value) bool { return value.Int() <= most },
		}
	}
	least := int64(must(strconv.Atoi(lowest)))
	return rule{
		allowed: fmt.Sprintf("a whole number from %d to %d", least, most),
		holds:   func(value reflect.Value) bool { return value.Int() >= least && value.Int() <= most },
	}
}

func choiceRule(choices []string) rule {
	return rule{
		allowed: "one of " + strings.Join(choices, ", "),
		holds:   func(value reflect.Value) bool { return slices.Contains(choices, value.String()) },
	}
}

func formatRule(tag reflect.StructTag) rule {
	format := formatOf(tag)
	_, required := tag.Lookup("required")
	return rule{
		allowed: format.allowed,
		holds: func(value reflect.Value) bool {
			return !required && value.String() == "" || format.accepts(value.String())
		},
	}
}

func listRule(tag reflect.StructTag) rule {
	format := formatOf(tag)
	return rule{
		allowed: "a comma-separated list, each " + format.allowed,
		holds: func(value reflect.Value) bool {
			for index := range value.Len() {
				if !format.accepts(value.Index(index).String()) {
					return false
				}
			}
			return true
		},
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("config: bad struct tag: %v", err))
	}
	return value
}
