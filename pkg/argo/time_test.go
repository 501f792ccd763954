package argo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWindowsAndAFreezeHoldWhatIsToStart(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	windows := func(schedule string) func(*v1alpha1.CdPipeline) {
		return func(pipeline *v1alpha1.CdPipeline) {
			pipeline.Spec.Windows = []v1alpha1.Window{{Kind: v1alpha1.WindowAllow, Schedule: schedule, Duration: metav1.Duration{Duration: 2 * time.Hour}}}
		}
	}
	for sentence, tc := range map[string]struct {
		with    []func(*v1alpha1.CdPipeline)
		freeze  trigger.Freeze
		change  func(*store.Claim)
		reason  v1alpha1.Reason // empty: it starts
		message string
	}{
		"inside of its window it starts": {with: []func(*v1alpha1.CdPipeline){windows("0 11 * * *")}},
		"outside of its window it waits": {
			with: []func(*v1alpha1.CdPipeline){windows("0 9 * * *")}, reason: v1alpha1.ReasonWindow,
			message: "spec.windows let nothing start before 2026-11-26T09:00:00Z: wait, or create a RunRequest with action Resume",
		},
		"what a person has resumed starts": {
			with: []func(*v1alpha1.CdPipeline){windows("0 9 * * *")}, freeze: trigger.Freeze{Reason: "audit"},
			change: func(claim *store.Claim) { claim.Inputs.Resumed = true },
		},
		"what checks a deployment that was made starts": {
			with: []func(*v1alpha1.CdPipeline){windows("0 9 * * *"), given.WithPost}, freeze: trigger.Freeze{Reason: "audit"},
			change: func(claim *store.Claim) { claim.Inputs.Stage = trigger.StagePost },
		},
		"a window that nobody understands holds": {
			with: []func(*v1alpha1.CdPipeline){windows("at noon")}, reason: v1alpha1.ReasonWindow, message: `spec.windows[0].schedule is "at noon"`,
		},
		"a freeze holds, whatever the window": {
			with: []func(*v1alpha1.CdPipeline){windows("0 11 * * *")}, freeze: trigger.Freeze{Reason: "audit"},
			reason: v1alpha1.ReasonFreeze, message: "deployments are frozen: audit",
		},
		"a freeze of another namespace does not": {freeze: trigger.Freeze{Reason: "audit", Namespaces: []string{"other"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pipeline := given.CdPipeline("web", tc.with...)
			claim := claimOf(pipeline)
			if tc.change != nil {
				tc.change(&claim)
			}
			w := newWorld(t, pipeline, template())
			w.Builders = Builders{store.KindCd: Stages{
				Freeze: func() trigger.Freeze { return tc.freeze }, Now: func() time.Time { return noon },
			}}
			err := w.submit(t, claim)
			if tc.reason == "" {
				require.NoError(t, err)
				require.Len(t, w.workflows(t), 1)
				return
			}
			requireRefusal(t, err, store.StatusHeld, tc.reason, tc.message)
			require.Empty(t, w.workflows(t))
		})
	}
}
