package store_test

import "fmt"

// explained is what penstock server reads to explain a page of 100 decisions.
func explained(h history) map[string]plan {
	runs := h.runs(6, 100) // they wait for their turns
	build := func(run int) int { return (run-1)/5 + 1 }
	pairs := arguments{
		"places": array(runs, func(run int) string { return fmt.Sprint(run) }), "build_uid": as("b-%d")(build(runs[0])),
		"images": array(runs, func(run int) string { return as("registry/app:%d")(build(run)) }), "digests": array(runs, func(run int) string { return as("sha256:%d")(build(run)) }),
		"pipeline_uids": array(runs, func(run int) string { return as("p-%d")(build(run)%100 + 100*((run-1)%5)) }),
	}
	queued := arguments{"look": "10000", "ids": array(h.runs(0, 100), func(run int) string { return fmt.Sprint(2*run - 1) })}
	return map[string]plan{
		"ExplainWorkers":         {pages: one},
		"ExplainPipeline":        {pages: one},
		"ExplainNewestDecisions": {pages: 2 * one},
		"ExplainDecisionOfRun":   {pages: one},
		"ExplainRuns":            {pages: all, arguments: pairs},
		"ExplainStages":          {pages: all, arguments: runsOf("run_ids", runs)},
		"ExplainPlaces":          {pages: h.tasks / 50, arguments: queued},
		"ExplainClaimed":         {pages: one},
		"ExplainBuildTask":       {pages: one, arguments: arguments{"build_uid": "built-7"}},
		"ExplainCiPipeline":      {pages: one, arguments: arguments{"pipeline": "ci-1"}},
		"ExplainLastRun":         {pages: one},
		"ExplainParents":         {pages: one, arguments: pairs},
	}
}
