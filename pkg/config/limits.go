package config

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
