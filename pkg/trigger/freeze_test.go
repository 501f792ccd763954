package trigger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

func TestWhatAFreezeHolds(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for sentence, c := range map[string]struct {
		freeze trigger.Freeze
		want   string
	}{
		"none holds nothing":                       {trigger.Freeze{}, ""},
		"one without namespaces holds all":         {trigger.Freeze{Reason: "audit"}, "deployments are frozen: audit; wait until the setting FREEZE is taken away, or create a RunRequest with action Resume"},
		"one of another namespace holds nothing":   {trigger.Freeze{Reason: "audit", Namespaces: []string{"pay"}}, ""},
		"one of this namespace holds":              {trigger.Freeze{Reason: "audit", Namespaces: []string{"pay", "shop"}, Until: noon.Add(time.Hour)}, "deployments are frozen until 2026-11-25T13:00:00Z: audit; wait, or create a RunRequest with action Resume"},
		"one that is over holds nothing any more":  {trigger.Freeze{Reason: "audit", Until: noon}, ""},
		"one that ends a moment later holds still": {trigger.Freeze{Reason: "audit", Until: noon.Add(1)}, "deployments are frozen until 2026-11-25T12:00:00Z: audit; wait, or create a RunRequest with action Resume"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			hold := c.freeze.Hold("shop", noon)
			require.Equal(t, c.want, hold.Message)
			require.Equal(t, c.want != "", hold.Reason == v1alpha1.ReasonFreeze)
		})
	}
}
