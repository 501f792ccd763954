package main

import (
	"github.com/penstock-cd/penstock/test/bench/atlimit"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/straggler"
)

// scenarios are all there are, in the order in which they run.
var scenarios = []stage.Scenario{
	straggler.Scenario,
	atlimit.Scenario,
}
