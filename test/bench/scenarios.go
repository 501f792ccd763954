package main

import (
	"github.com/penstock-cd/penstock/test/bench/atlimit"
	"github.com/penstock-cd/penstock/test/bench/clusters"
	"github.com/penstock-cd/penstock/test/bench/dashboard"
	"github.com/penstock-cd/penstock/test/bench/evolution"
	"github.com/penstock-cd/penstock/test/bench/fairness"
	"github.com/penstock-cd/penstock/test/bench/fleet"
	"github.com/penstock-cd/penstock/test/bench/latency"
	"github.com/penstock-cd/penstock/test/bench/notify"
	"github.com/penstock-cd/penstock/test/bench/queue"
	"github.com/penstock-cd/penstock/test/bench/requests"
	"github.com/penstock-cd/penstock/test/bench/retention"
	"github.com/penstock-cd/penstock/test/bench/scale"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/bench/status"
	"github.com/penstock-cd/penstock/test/bench/straggler"
	"github.com/penstock-cd/penstock/test/bench/unthrottled"
	"github.com/penstock-cd/penstock/test/bench/wave"
	"github.com/penstock-cd/penstock/test/bench/webhooks"
)

// scenarios are all there are, in the order in which they run.
var scenarios = []stage.Scenario{
	evolution.Scenario,
	straggler.Scenario,
	atlimit.Scenario,
	unthrottled.Scenario,
	latency.Scenario,
	requests.Scenario,
	queue.Scenario,
	fairness.Scenario,
	scale.Scenario,
	status.Scenario,
	fleet.Scenario,
	clusters.Scenario,
	retention.Scenario,
	notify.Scenario,
	wave.Scenario,
	webhooks.Scenario,
	dashboard.Scenario,
}
