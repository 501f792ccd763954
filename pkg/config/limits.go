package config

import (
	"fmt"
	"reflect"
)

// SettingsMap is the name of the ConfigMap, in Penstock's own namespace, whose keys go
// before the environment while the controller runs.
const SettingsMap = "penstock-settings"

// Variable is one environment variable, for those who show or set it.
type Variable struct {
	// Name is also its key in the ConfigMap.
	Name string
	// Default is the value where nobody sets it; empty where there is none.
	Default string
	// Allowed says in words which values are accepted.
	Allowed string
	// Meaning is what the variable does, in a phrase.
	Meaning string
	// Live tells that it can be changed while the controller runs, by the ConfigMap.
	Live bool
	// Secret tells that its value is never shown.
	Secret bool
}

// Variables are all there are, in the order in which Describe prints them.
func Variables() []Variable {
	described := variables()
	shown := make([]Variable, len(described))
	for i, v := range described {
		shown[i] = Variable{Name: v.name, Default: v.defaultValue, Allowed: v.allowed, Meaning: v.meaning, Live: v.live, Secret: v.secret}
	}
	return shown
}

// Refusals returns what the controller would say of the data of its ConfigMap: an error
// for each key that it does not take, in the order of the names.
func Refusals(data map[string]string) []error {
	_, refusals := Config{}.Override(Config{}, data)
	return refusals
}

// Where a value in force may come from.
const (
	FromConfigMap   = "ConfigMap " + SettingsMap
	FromEnvironment = "environment"
	FromDefault     = "default"
	// FromBefore is what held before the ConfigMap had a value that is refused.
	FromBefore = "before"
)

// InForce is a live variable as it holds in a process.
type InForce struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	From  string `json:"from"`
	// Refused is why the ConfigMap's value does not hold; empty where it does, or has none.
	Refused string `json:"refused,omitempty"`
}

// InForce returns the live variables as they hold, in the order of Variables. The Config is the
// environment's, now is what is in force, and data is what the ConfigMap says. A variable that the
// environment sets to its default comes from the default.
func (c Config) InForce(now Config, data map[string]string) []InForce {
	var defaults Config
	_, _ = parse(&defaults, map[string]string{}) // tests find a default that is none
	data = trimmed(data)
	var all []InForce
	for index, v := range variables() {
		if !v.live {
			continue
		}
		one := InForce{Name: v.name, Value: fmt.Sprint(field(&now, index)), From: FromEnvironment}
		refusals := Refusals(map[string]string{v.name: data[v.name]})
		switch {
		case len(refusals) > 0:
			one.From, one.Refused = FromBefore, refusals[0].Error()
		case data[v.name] != "":
			one.From = FromConfigMap
		case reflect.DeepEqual(field(&c, index).Interface(), field(&defaults, index).Interface()):
			one.From = FromDefault
		}
		all = append(all, one)
	}
	return all
}
