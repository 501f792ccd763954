package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const liveVariables = "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE, CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING, CI_BATCH_SIZE, KUBE_API_QPS, KUBE_API_BURST, MAX_ACTIVE_WORKFLOWS, MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE, FREEZE, HISTORY_RETENTION"

func TestOverride(t *testing.T) {
	t.Parallel()
	inForce := func(c *Config) { c.KubeAPIQPS, c.MaxActiveWorkflows = 30, 70 }
	tests := map[string]struct {
		values   map[string]string
		change   func(*Config)
		refusals []string
	}{
		"nothing set is what the environment says, whatever was in force": {
			change: func(*Config) {},
		},
		"every limit can be changed": {
			values: map[string]string{
				"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "20", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE_CEILING": "30",
				"KUBE_API_QPS": "100", "KUBE_API_BURST": " 40\n", "MAX_ACTIVE_WORKFLOWS": "500",
				"MAX_ACTIVE_WORKFLOWS_PER_NAMESPACE": "50",
			},
			change: func(c *Config) {
				c.BatchSize, c.BatchSizeCeiling = BatchSize{Size: 20}, 30
				c.KubeAPIQPS, c.KubeAPIBurst, c.MaxActiveWorkflows, c.MaxActivePerNamespace = 100, 40, 500, 50
			},
		},
		"a batch size can be left to the process": {
			values: map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "auto"},
			change: func(c *Config) { c.BatchSize = BatchSize{Auto: true} },
		},
		"a batch size below 1 is 1": {
			values: map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "-3"},
			change: func(c *Config) { c.BatchSize = BatchSize{Size: 1} },
		},
		"an empty value is the environment's": {
			values: map[string]string{"KUBE_API_QPS": " "},
			change: func(*Config) {},
		},
		"a bad value keeps what is in force, and its neighbour is taken": {
			values:   map[string]string{"KUBE_API_QPS": "fast", "KUBE_API_BURST": "7"},
			change:   func(c *Config) { c.KubeAPIQPS, c.KubeAPIBurst = 30, 7 },
			refusals: []string{`KUBE_API_QPS="fast": must be a whole number from 1 to 10000`},
		},
		"a value out of bounds keeps what is in force": {
			values:   map[string]string{"MAX_ACTIVE_WORKFLOWS": "-1"},
			change:   func(c *Config) { c.MaxActiveWorkflows = 70 },
			refusals: []string{`MAX_ACTIVE_WORKFLOWS="-1": must be a whole number from 0 to 1000000`},
		},
		"what can't be changed and what does not exist is named": {
			values: map[string]string{"LOG_LEVEL": "debug", "KUBE_API_QPSS": "9"},
			change: func(*Config) {},
			refusals: []string{
				"KUBE_API_QPSS is no variable of Penstock: can be set here are " + liveVariables,
				"LOG_LEVEL can't be changed while the controller runs: set it in its environment; can be set here are " + liveVariables,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, want := defaults(), defaults()
			inForce(&before)
			test.change(&want)

			next, refusals := defaults().Override(before, test.values)

			require.Equal(t, want, next)
			var told []string
			for _, refusal := range refusals {
				told = append(told, refusal.Error())
			}
			require.Equal(t, test.refusals, told)
		})
	}
}

func TestChangesNamesTheLimitsThatDiffer(t *testing.T) {
	t.Parallel()
	before, after := defaults(), defaults()
	require.Empty(t, after.Changes(before))
	after.BatchSize, after.MaxActiveWorkflows, after.LogLevel = BatchSize{Auto: true}, 100, "debug"
	require.Equal(t, []string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE 5 -> auto", "MAX_ACTIVE_WORKFLOWS 0 -> 100"}, after.Changes(before))
}
