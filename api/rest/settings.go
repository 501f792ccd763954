package rest

import "time"

// Settings are the limits of the controller that can be changed while it runs.
type Settings struct {
	SeenAt *time.Time `json:"seenAt,omitempty" doc:"When the controller said so; absent where none was heard of."`
	Silent bool       `json:"silent,omitempty" doc:"That was so long ago that it may not be true any more."`
	Items  []Setting  `json:"items" nullable:"false"`
}

// Setting is one limit in force.
type Setting struct {
	Key     string `json:"key" doc:"Name of the variable."`
	Value   string `json:"value"`
	From    string `json:"from" doc:"ConfigMap penstock-settings, environment or default; before: what held before the ConfigMap had a value that is refused; hidden: of others' namespaces."`
	Default string `json:"default"`
	Allowed string `json:"allowed" doc:"Which values are accepted."`
	Meaning string `json:"meaning"`
	Problem string `json:"problem,omitempty" doc:"Why the ConfigMap's value is refused."`
}
