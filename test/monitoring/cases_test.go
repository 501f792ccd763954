package monitoring_test

// always is a healthy process, for an hour and more.
const always = `penstock_trigger_limit 5x70`

// cases are what an hour looks like, by what it is to be told for. Values come once a
// minute: 1+2x3 is 1, 3, 5, 7, and _ is none. Those that begin with "no alarm" are not
// to fire.
var cases = map[string]struct {
	alert  string
	series []string
}{
	"nobody is scraped":               {"PenstockAbsent", nil},
	"all replicas have been gone":     {"PenstockAbsent", []string{`penstock_trigger_limit 5x40 _x30`}},
	"no alarm while one is scraped":   {"PenstockAbsent", []string{always}},
	"no alarm after a short restart":  {"PenstockAbsent", []string{`penstock_trigger_limit 5x54 _x3 5x20`}},
	"two stand by and none leads":     {"PenstockNobodyLeads", []string{leads("a", "0x70"), leads("b", "0x70")}},
	"no alarm while one of two leads": {"PenstockNobodyLeads", []string{leads("a", "0x70"), leads("b", "1x70")}},
	"no alarm without election":       {"PenstockNobodyLeads", []string{always}},

	"tasks wait and nothing was ever submitted": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 7x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"tasks wait and nothing is submitted any more": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 7x70`, `penstock_triggers_total{result="Submitted"} 0+9x30 270x40`, `penstock_backlog_gate_closed 0x70`,
	}},
	"tasks wait, all are refused and none is submitted": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 7x70`, `penstock_triggers_total{result="Pending"} 0+9x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"no alarm while tasks wait and others are submitted": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 7x70`, `penstock_triggers_total{result="Submitted"} 0+9x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"no alarm while nothing waits": {"PenstockQueueStuck", []string{`penstock_trigger_queue_depth 0x70`, `penstock_backlog_gate_closed 0x70`}},
	"no alarm while the gate holds the queue": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 7x70`, `penstock_backlog_gate_closed 1x70`,
	}},

	"a right is missing everywhere": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 0x70`, `penstock_delayed_tasks{reason="Forbidden"} 7x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"no alarm while all that waits waits for a quota": {"PenstockQueueStuck", []string{
		`penstock_trigger_queue_depth 0x70`, `penstock_delayed_tasks{reason="QuotaExceeded"} 7x70`, `penstock_backlog_gate_closed 0x70`,
	}},

	"the oldest task gets older and older": {"PenstockQueueSlow", []string{
		`penstock_trigger_queue_oldest_seconds 0+60x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"no alarm while tasks wait for minutes": {"PenstockQueueSlow", []string{
		`penstock_trigger_queue_oldest_seconds 300x70`, `penstock_backlog_gate_closed 0x70`,
	}},
	"no alarm while the gate makes them wait": {"PenstockQueueSlow", []string{
		`penstock_trigger_queue_oldest_seconds 0+60x70`, `penstock_backlog_gate_closed 1x70`,
	}},

	"no alarm while a namespace waits for its quota": {"PenstockQueueSlow", []string{
		`penstock_trigger_queue_oldest_seconds 0x70`, `penstock_delayed_tasks{reason="QuotaExceeded"} 7x70`, `penstock_backlog_gate_closed 0x70`,
	}},

	"a transaction stays open":        {"PenstockStatusLate", []string{`penstock_event_delay_seconds 0+60x70`}},
	"no alarm while they end in time": {"PenstockStatusLate", []string{`penstock_event_delay_seconds 5x70`}},

	"the gate stays closed":             {"PenstockBacklogGateClosed", []string{`penstock_backlog_gate_closed 1x70`}},
	"no alarm while it opens and shuts": {"PenstockBacklogGateClosed", []string{`penstock_backlog_gate_closed 1x10 0 1x10 0 1x10 0 1x10 0 1x30`}},

	"Argo does not run":               {"PenstockWorkflowsNotTakenUp", []string{`penstock_workflows_not_taken_up 0x30 7x40`}},
	"no alarm while Argo starts anew": {"PenstockWorkflowsNotTakenUp", []string{`penstock_workflows_not_taken_up 0x30 7x3 0x40`}},
	"no alarm while all are taken up": {"PenstockWorkflowsNotTakenUp", []string{`penstock_workflows_not_taken_up 0x70`}},

	"a quota is used up for long":              {"PenstockTasksDelayed", []string{`penstock_delayed_tasks{reason="QuotaExceeded"} 7x70`}},
	"no alarm while a quota frees again":       {"PenstockTasksDelayed", []string{`penstock_delayed_tasks{reason="QuotaExceeded"} 7x20 _x10 7x40`}},
	"no alarm while a namespace has its share": {"PenstockTasksDelayed", []string{`penstock_delayed_tasks{reason="NamespaceShare"} 7x70`}},

	"submissions take as long as they may": {"PenstockSubmissionsSlow", took("16.384", "8.192", "+Inf")},
	"no alarm while they take a second":    {"PenstockSubmissionsSlow", took("1.024", "0.512", "+Inf")},
	"no alarm while there are none":        {"PenstockSubmissionsSlow", []string{always}},

	"most submissions are repeated": {"PenstockSubmissionsFail", []string{
		`penstock_triggers_total{result="Submitted"} 0+1x70`, `penstock_triggers_total{result="Pending"} 0+9x70`,
	}},
	"no alarm while few are repeated": {"PenstockSubmissionsFail", []string{
		`penstock_triggers_total{result="Submitted"} 0+9x70`, `penstock_triggers_total{result="Pending"} 0+1x70`,
	}},
	"no alarm while nothing is triggered": {"PenstockSubmissionsFail", []string{
		`penstock_triggers_total{result="Submitted"} 9x70`, `penstock_triggers_total{result="Pending"} 3x70`,
	}},

	"the first refusal since the start": {"PenstockTriggersRefused", []string{`penstock_triggers_total{result="Error"} _x55 1x20`}},
	"another refusal":                   {"PenstockTriggersRefused", []string{`penstock_triggers_total{result="Error"} 3x55 4x20`}},
	"no alarm after an old refusal":     {"PenstockTriggersRefused", []string{`penstock_triggers_total{result="Error"} 3x70`}},
	"no alarm without a refusal":        {"PenstockTriggersRefused", []string{`penstock_triggers_total{result="Submitted"} 0+3x70`}},

	"the server stops all requests":       {"PenstockKubeAPIThrottles", []string{`penstock_kube_api_paused_seconds_total 0+20x70`}},
	"no alarm after one refused request":  {"PenstockKubeAPIThrottles", []string{`penstock_kube_api_paused_seconds_total 0x40 1x40`}},
	"the server fails":                    {"PenstockKubeAPIFails", []string{`penstock_kube_api_errors_total{code="503"} 0+30x70`}},
	"nobody answers":                      {"PenstockKubeAPIFails", []string{`penstock_kube_api_errors_total{code="0"} 0+30x70`}},
	"no alarm while objects are gone":     {"PenstockKubeAPIFails", []string{`penstock_kube_api_errors_total{code="404"} 0+30x70`}},
	"no alarm while writes meet":          {"PenstockKubeAPIFails", []string{`penstock_kube_api_errors_total{code="409"} 0+30x70`}},
	"no alarm after one failure":          {"PenstockKubeAPIFails", []string{`penstock_kube_api_errors_total{code="500"} 0x50 1x20`}},
	"connections are waited for":          {"PenstockDatabaseWait", waited("1.6384", "0.4096")},
	"no alarm while they are soon there":  {"PenstockDatabaseWait", waited("0.0064", "0.0016")},
	"a filter is broken, for the first":   {"PenstockPipelinesBroken", []string{`penstock_decisions_total{outcome="Blocked",reason="InvalidFilter"} _x50 2x20`}},
	"a filter is broken, again":           {"PenstockPipelinesBroken", []string{`penstock_decisions_total{outcome="Blocked",reason="InvalidFilter"} 2x50 4x20`}},
	"no alarm while a parent fails":       {"PenstockPipelinesBroken", []string{`penstock_decisions_total{outcome="Blocked",reason="ParentNotSucceeded"} 0+1x70`}},
	"no alarm while pipelines are asleep": {"PenstockPipelinesBroken", []string{`penstock_decisions_total{outcome="Skipped",reason="Suspended"} 0+1x70`}},
	"no alarm after it was mended":        {"PenstockPipelinesBroken", []string{`penstock_decisions_total{outcome="Blocked",reason="InvalidFilter"} 2x70`}},
	"a setting was refused":               {"PenstockSettingRefused", []string{`penstock_settings_refused_total 0x30 1x40`}},
	"no alarm while settings are good":    {"PenstockSettingRefused", []string{`penstock_settings_refused_total 0x70`}},
	"the first panic since the start":     {"PenstockPanics", []string{`penstock_panics_total{where="dispatch"} _x55 1x20`}},
	"another panic":                       {"PenstockPanics", []string{`penstock_panics_total{where="dispatch"} 1x55 2x20`}},
	"no alarm after an old panic":         {"PenstockPanics", []string{`penstock_panics_total{where="dispatch"} 1x70`}},
	"no alarm without a panic":            {"PenstockPanics", []string{always}},

	"a receiver refuses, for the first": {"PenstockNotificationsGivenUp", []string{`penstock_notifications_total{type="slack",result="given_up"} _x50 1x20`}},
	"a receiver refuses, again":         {"PenstockNotificationsGivenUp", []string{`penstock_notifications_total{type="slack",result="given_up"} 0x50 1x20`}},
	"no alarm while all is delivered": {"PenstockNotificationsGivenUp", []string{
		`penstock_notifications_total{type="slack",result="given_up"} 0x130`, `penstock_notifications_total{type="slack",result="sent"} 0+9x130`,
	}},
	"no alarm while a receiver is tried again":  {"PenstockNotificationsGivenUp", []string{`penstock_notifications_total{type="email",result="retried"} 0+1x70`}},
	"nothing is sent any more":                  {"PenstockNotificationsLate", []string{`penstock_notifications_oldest_seconds 0+60x70`}},
	"no alarm while notifications wait minutes": {"PenstockNotificationsLate", []string{`penstock_notifications_oldest_seconds 300x70`}},
	"no alarm after a receiver is back":         {"PenstockNotificationsLate", []string{`penstock_notifications_oldest_seconds 0+60x40 0x30`}},

	"a wave has stopped":                {"PenstockWaveStopped", []string{`penstock_waves_open{state="Stopped"} 0x50 1x20`}},
	"no alarm while waves go on":        {"PenstockWaveStopped", []string{`penstock_waves_open{state="Running"} 3x70`, `penstock_waves_open{state="Stopped"} 0x70`}},
	"no alarm after a wave was resumed": {"PenstockWaveStopped", []string{`penstock_waves_open{state="Stopped"} 0x50 1x3 0x17`}},
}

func leads(replica, values string) string {
	return `leader_election_master_status{name="penstock-controller",pod="` + replica + `"} ` + values
}

// took is a hundred submissions a minute, all in the first bucket and none in the one below.
func took(bucket, below, all string) []string {
	const name = `penstock_trigger_duration_seconds_bucket{le="`
	return []string{name + below + `"} 0x70`, name + bucket + `"} 0+100x70`, name + all + `"} 0+100x70`}
}

// waited is the same for waits for a connection.
func waited(bucket, below string) []string {
	const name = `penstock_db_acquire_wait_seconds_bucket{le="`
	return []string{name + below + `"} 0x70`, name + bucket + `"} 0+100x70`, name + `+Inf"} 0+100x70`}
}
