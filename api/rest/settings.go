package rest

import "time"

// Settings are the limits of the controller that can be changed while it runs.
type Settings struct {
	SeenAt *time.Time `json:"seenAt,omitempty" doc:"When the controller said so; absent where none was heard of."`
	Silent bool       `json:"silent,omitempty" doc:"That was so long ago that it may not be true any more."`
	Items  []Setting  `json:"items" nullable:"false"`

	Advice *TuningAdvice `json:"advice,omitempty" doc:"As kubectl penstock tune computes it; absent where the controller has not measured yet, or for who may not see all namespaces."`
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

// PublishedSetting is what the ConfigMap penstock-settings says of one limit.
type PublishedSetting struct {
	Key             string `json:"key"`
	Value           string `json:"value" doc:"Empty where the ConfigMap does not have the key."`
	ResourceVersion string `json:"resourceVersion" doc:"Of the ConfigMap; 0 where there is none."`
	LastChange      string `json:"lastChange,omitempty" doc:"What was changed last in the ConfigMap, by Penstock's own means."`
	By              string `json:"by,omitempty" doc:"Who did that."`
	Reason          string `json:"reason,omitempty"`
}

// SettingInput is what somebody wants of a limit.
type SettingInput struct {
	Value           string `json:"value" maxLength:"4096" doc:"What holds then. Empty takes the key out of the ConfigMap, so that the environment holds again."`
	Reason          string `json:"reason,omitempty" maxLength:"1024" doc:"Why: kept with the name of who changes it."`
	ResourceVersion string `json:"resourceVersion,omitempty" maxLength:"100" doc:"Only a ConfigMap of this version is changed, else the answer is 409."`
}

// TuningAdvice is the batch size that each limit allows, and how that compares with now.
type TuningAdvice struct {
	BatchSize int           `json:"batchSize" doc:"What the limit that binds allows."`
	PerSecond float64       `json:"triggersPerSecond" doc:"How many triggers a second that makes at most."`
	Bounds    []TuningBound `json:"bounds" nullable:"false"`
	Verdict   string        `json:"verdict" doc:"What holds triggers back now, and what to do."`
	Limit     float64       `json:"limit" doc:"The batch size in force."`
	InFlight  float64       `json:"inFlight"`
	Waiting   float64       `json:"waiting" doc:"Tasks that wait for a slot."`
	Rate      float64       `json:"rate" doc:"Triggers a second in the last 10 s."`
	Latency   float64       `json:"latencySeconds" doc:"How long one create takes."`
}

// TuningBound is what one limit allows.
type TuningBound struct {
	Limit     string `json:"limit"`
	Known     bool   `json:"known" doc:"There is a figure to compute from."`
	Allows    int    `json:"allows" doc:"The batch size; 0 is any."`
	Binds     bool   `json:"binds,omitempty" doc:"No other allows less."`
	Reasoning string `json:"reasoning" doc:"The computation, in words and figures."`
}
