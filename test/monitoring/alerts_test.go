package monitoring_test

import (
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const (
	alertsFile = "../../config/monitoring/alerts.yaml"
	ruleFile   = "../../config/monitoring/prometheusrule.yaml"
	// runbook is where each alert's section is.
	runbook     = "https://github.com/penstock-cd/penstock/blob/main/docs/tuning.md#"
	runbookFile = "../../docs/tuning.md"
)

// alerts are the rules of the file, by name.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	require.Empty(t, errs)
	rules := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			require.NotContains(t, rules, rule.Alert)
			rules[rule.Alert] = rule
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

func TestEachAlertSaysHowBadItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	anchors := anchorsOf(t, runbookFile)
	for name, rule := range alerts(t) {
		require.Contains(t, []string{"critical", "warning", "info"}, rule.Labels["severity"], name)
		require.NotEmpty(t, rule.Annotations["summary"], name)
		require.NotEmpty(t, rule.Annotations["description"], name)
		anchor, found := strings.CutPrefix(rule.Annotations["runbook_url"], runbook)
		require.True(t, found, name)
		require.Contains(t, anchors, anchor, name)
		require.Equal(t, strings.ToLower(name), anchor)
	}
}

// anchorsOf are those that a page's headings of one word have.
func anchorsOf(t *testing.T, page string) (anchors []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if heading, found := strings.CutPrefix(line, "### "); found {
			anchors = append(anchors, strings.ToLower(strings.TrimSpace(heading)))
		}
	}
	return anchors
}

func TestEveryRunbookSectionIsOfAnAlert(t *testing.T) {
	t.Parallel()
	var names []string
	for name := range maps.Keys(alerts(t)) {
		names = append(names, strings.ToLower(name))
	}
	for _, anchor := range anchorsOf(t, runbookFile) {
		if strings.HasPrefix(anchor, "penstock") {
			require.Contains(t, names, anchor)
		}
	}
}

func TestThePrometheusRuleHoldsTheAlerts(t *testing.T) {
	t.Parallel()
	var wrapped struct {
		Spec any `json:"spec"`
	}
	var plain any
	require.NoError(t, yaml.Unmarshal(read(t, ruleFile), &wrapped))
	require.NoError(t, yaml.Unmarshal(read(t, alertsFile), &plain))
	require.Equal(t, plain, wrapped.Spec, "run make manifests")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return text
}

// fires tells whether the alert fires after so much of the history: its expression
// must have held at each scrape for as long as the rule wants.
func (h history) fires(t *testing.T, rule rulefmt.Rule, after time.Duration) bool {
	t.Helper()
	for at := after - time.Duration(rule.For); at <= after; at += scrape {
		if len(h.at(t, rule.Expr, at)) == 0 {
			return false
		}
	}
	return true
}

func TestAlertsFireWhenTheyShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	rules := alerts(t)
	tried := map[string][]bool{}
	for sentence, tc := range cases {
		rule, exists := rules[tc.alert]
		require.True(t, exists, tc.alert)
		fires := !strings.HasPrefix(sentence, "no alarm")
		tried[tc.alert] = append(tried[tc.alert], fires)
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, fires, historyOf(t, tc.series...).fires(t, rule, time.Hour))
		})
	}
	for name := range rules {
		require.True(t, slices.Contains(tried[name], true) && slices.Contains(tried[name], false), "%s is not tried both ways", name)
	}
}
