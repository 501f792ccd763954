package tune

import (
	"fmt"
	"io"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Lane is the lane whose batch size is computed: CD triggers of this cluster.
const Lane = "cd"

// Snapshot is what the controller's metrics say at one moment, of one lane. Counters are
// since its start.
type Snapshot struct {
	Limit    float64 `json:"limit"`
	InFlight float64 `json:"inFlight"`
	// Waiting are the tasks that wait for a slot, of all lanes.
	Waiting float64 `json:"waiting"`
	// Triggers are those that ended, with a Workflow or without, and Duration their time from
	// the claim to the end, Tokens the part that was spent waiting for the token bucket.
	Triggers float64 `json:"triggers"`
	Duration float64 `json:"durationSeconds"`
	// TokenWaits are how many requests of triggers waited, and TokenWait for how long.
	TokenWaits float64 `json:"tokenWaits"`
	TokenWait  float64 `json:"tokenWaitSeconds"`
	// Paused is for how long the API server has asked for a pause, with 429.
	Paused float64 `json:"pausedSeconds"`
	// ConnectionWaits and ConnectionWait are of the pool of connections.
	ConnectionWaits float64 `json:"connectionWaits"`
	ConnectionWait  float64 `json:"connectionWaitSeconds"`
	Connections     float64 `json:"connectionsInUse"`
	GateClosed      bool    `json:"gateClosed"`
	// Lanes are all there are, by name: cd, ci, or with the cluster behind a slash.
	Lanes map[string]LaneLimit `json:"lanes"`
	// Memory is resident, MemoryLimit the runtime's soft limit; in bytes, 0 is none.
	Memory      float64 `json:"memoryBytes"`
	MemoryLimit float64 `json:"memoryLimitBytes"`
	Cores       float64 `json:"cores"`
	// CPU is the time used, in seconds.
	CPU float64 `json:"cpuSeconds"`
}

// LaneLimit is what bounds one lane.
type LaneLimit struct {
	// Limit is how many may be in flight at once.
	Limit      float64 `json:"limit"`
	GateClosed bool    `json:"gateClosed"`
}

// noLimit is above every memory limit that somebody sets: the runtime's "none".
const noLimit = 1 << 60

// Read parses metrics in the text format of Prometheus.
func Read(text io.Reader) (Snapshot, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return Snapshot{}, fmt.Errorf("parse metrics: %w", err)
	}
	return of(families)
}

// Of reads the metrics that a process has gathered of itself.
func Of(families []*dto.MetricFamily) (Snapshot, error) {
	byName := figures{}
	for _, family := range families {
		byName[family.GetName()] = family
	}
	return of(byName)
}

func of(f figures) (Snapshot, error) {
	if f["penstock_trigger_limit"] == nil {
		return Snapshot{}, fmt.Errorf("parse metrics: there is no penstock_trigger_limit: are these the metrics of Penstock's controller?")
	}
	s := Snapshot{
		Limit: f.of("penstock_trigger_limit", "lane", Lane), InFlight: f.of("penstock_triggers_in_flight", "lane", Lane),
		Waiting:    f.of("penstock_trigger_queue_depth", "", ""),
		Paused:     f.of("penstock_kube_api_paused_seconds_total", "", ""),
		GateClosed: f.of("penstock_backlog_gate_closed", "lane", Lane) > 0, Connections: f.of("penstock_db_connections", "state", "acquired"),
		Memory: f.of("process_resident_memory_bytes", "", ""), MemoryLimit: f.of("go_gc_gomemlimit_bytes", "", ""),
		Cores: f.of("go_sched_gomaxprocs_threads", "", ""), CPU: f.of("process_cpu_seconds_total", "", ""),
	}
	s.Duration, s.Triggers = f.sum("penstock_trigger_duration_seconds", "lane", Lane)
	s.TokenWait, s.TokenWaits = f.sum("penstock_kube_api_wait_seconds", "class", "trigger")
	s.ConnectionWait, s.ConnectionWaits = f.sum("penstock_db_acquire_wait_seconds", "", "")
	s.Lanes = map[string]LaneLimit{}
	for _, metric := range f["penstock_trigger_limit"].GetMetric() {
		for _, pair := range metric.GetLabel() {
			if lane := pair.GetValue(); pair.GetName() == "lane" {
				s.Lanes[lane] = LaneLimit{Limit: metric.GetGauge().GetValue(), GateClosed: f.of("penstock_backlog_gate_closed", "lane", lane) > 0}
			}
		}
	}
	if s.MemoryLimit >= noLimit {
		s.MemoryLimit = 0
	}
	return s, nil
}

type figures map[string]*dto.MetricFamily

// metric is the one whose label has a value; the only one where there is no label.
func (f figures) metric(name, label, value string) *dto.Metric {
	for _, metric := range f[name].GetMetric() {
		if label == "" {
			return metric
		}
		for _, pair := range metric.GetLabel() {
			if pair.GetName() == label && pair.GetValue() == value {
				return metric
			}
		}
	}
	return nil
}

// of is the value of a gauge or a counter; 0 where there is none.
func (f figures) of(name, label, value string) float64 {
	metric := f.metric(name, label, value)
	return metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + metric.GetUntyped().GetValue()
}

// sum is that of a histogram, and how many there were.
func (f figures) sum(name, label, value string) (sum, count float64) {
	histogram := f.metric(name, label, value).GetHistogram()
	return histogram.GetSampleSum(), float64(histogram.GetSampleCount())
}

// Latency is how long one create has taken, without the wait for tokens: on average since
// an earlier snapshot; the zero Snapshot is the start. It is 0 where nothing was triggered.
func (s Snapshot) Latency(since Snapshot) time.Duration {
	triggers := s.Triggers - since.Triggers
	if triggers <= 0 {
		return 0
	}
	wait := 0.0
	if waits := s.TokenWaits - since.TokenWaits; waits > 0 {
		wait = (s.TokenWait - since.TokenWait) / waits
	}
	each := (s.Duration-since.Duration)/triggers - wait
	return rounded(time.Duration(max(each, 0) * float64(time.Second)))
}
