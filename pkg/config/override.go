package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Override returns the Config with the values in it, by the names of the
// variables, and an error for each value that is refused, in the order of the
// names. A variable that is refused keeps what is in force; one that is not among
// the values, or empty there, is as the environment has it. Only limits can be
// overridden: the variables that Describe calls live.
func (c Config) Override(inForce Config, values map[string]string) (Config, []error) {
	next := c
	known := map[string]int{}
	described := variables()
	for index, v := range described {
		known[v.name] = index
	}
	var refusals []error
	values = trimmed(values)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		index, exists := known[name]
		switch {
		case !exists:
			refusals = append(refusals, fmt.Errorf("%s is no variable of Penstock: can be set here are %s", shortened(name), liveNames(described)))
		case !described[index].live:
			refusals = append(refusals, fmt.Errorf("%s can't be changed while the controller runs: set it in its environment; can be set here are %s", name, liveNames(described)))
		case values[name] != "":
			if err := next.set(index, described[index], values[name]); err != nil {
				refusals = append(refusals, err)
				field(&next, index).Set(field(&inForce, index))
			}
		}
	}
	next.raiseBatchSize()
	return next, refusals
}

// set gives one field the value that the text stands for.
func (c *Config) set(index int, v variable, raw string) error {
	var one Config
	unparsed, err := parse(&one, map[string]string{v.name: raw})
	if err != nil {
		return err
	}
	structField := reflect.TypeFor[Config]().Field(index)
	rule, value := ruleOf(structField), field(&one, index)
	if unparsed[structField.Name] || !rule.holds(value) {
		return fmt.Errorf("%s: must be %s", assignment(v, raw), rule.allowed)
	}
	field(c, index).Set(value)
	return nil
}

// Changes says which variables differ from before, each as NAME before -> after.
func (c Config) Changes(before Config) []string {
	var changes []string
	for index, v := range variables() {
		was, is := field(&before, index).Interface(), field(&c, index).Interface()
		if v.live && !reflect.DeepEqual(was, is) {
			changes = append(changes, fmt.Sprintf("%s %v -> %v", v.name, was, is))
		}
	}
	return changes
}

func field(c *Config, index int) reflect.Value { return reflect.ValueOf(c).Elem().Field(index) }

func liveNames(described []variable) string {
	var names []string
	for _, v := range described {
		if v.live {
			names = append(names, v.name)
		}
	}
	return strings.Join(names, ", ")
}
