package clusters

import "fmt"

// Result is the JSON.
type Result struct {
	TriggersPerLane int       `json:"triggers_per_lane"`
	QPS             int       `json:"qps"`
	Burst           int       `json:"burst"`
	IdealSeconds    float64   `json:"ideal_seconds"` // what a lane's token bucket alone needs
	Runs            []Run     `json:"runs"`
	BlackHole       BlackHole `json:"black_hole"`
	Idle            Idle      `json:"idle"`
}

// Run is all triggers over some lanes at once.
type Run struct {
	Lanes      int     `json:"lanes"`
	Triggers   int     `json:"triggers"`
	Seconds    float64 `json:"seconds"`    // until the last lane is through
	Efficiency float64 `json:"efficiency"` // ideal by measured, so that of the sum of the limits
	CPUShare   float64 `json:"cpu_share"`  // of one core, the controller's
}

// BlackHole is what the other lanes need while one cluster swallows everything.
type BlackHole struct {
	Lanes          int     `json:"lanes"` // the others
	SecondsWithout float64 `json:"seconds_without"`
	SecondsWith    float64 `json:"seconds_with"`
	Ratio          float64 `json:"ratio"` // without by with
}

// Idle is clusters whose loops run and have nothing to do.
type Idle struct {
	Clusters        int     `json:"clusters"`
	BytesPerCluster float64 `json:"bytes_per_cluster"` // of live heap and stacks
	RSSPerCluster   float64 `json:"rss_per_cluster"`
	RSSBytes        int64   `json:"rss_bytes"`
	Goroutines      int     `json:"goroutines"`
	CPUShare        float64 `json:"cpu_share"`
}

// Table implements stage.Result.
func (r *Result) Table() [][]string {
	rows := [][]string{{"lanes", "triggers", "ideal", "measured", "efficiency", "CPU"}}
	for _, one := range r.Runs {
		rows = append(rows, []string{
			fmt.Sprint(one.Lanes), fmt.Sprint(one.Triggers), fmt.Sprintf("%.2f s", r.IdealSeconds), fmt.Sprintf("%.2f s", one.Seconds),
			fmt.Sprintf("%.3f", one.Efficiency), fmt.Sprintf("%.2f", one.CPUShare),
		})
	}
	return append(rows,
		[]string{"others", "without", "with a black hole", "ratio", "", ""},
		[]string{
			fmt.Sprint(r.BlackHole.Lanes), fmt.Sprintf("%.2f s", r.BlackHole.SecondsWithout), fmt.Sprintf("%.2f s", r.BlackHole.SecondsWith),
			fmt.Sprintf("%.3f", r.BlackHole.Ratio), "", "",
		},
		[]string{"idle clusters", "each", "each, resident", "resident", "goroutines", "CPU"},
		[]string{
			fmt.Sprint(r.Idle.Clusters), kibibytes(r.Idle.BytesPerCluster), kibibytes(r.Idle.RSSPerCluster), kibibytes(float64(r.Idle.RSSBytes)),
			fmt.Sprint(r.Idle.Goroutines), fmt.Sprintf("%.2f", r.Idle.CPUShare),
		})
}

func kibibytes(bytes float64) string { return fmt.Sprintf("%.0f KiB", bytes/(1<<10)) }
