package plan

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// deletes deletes a pipeline, and has the cache see that.
func deletes(name string) func(*scene) {
	return func(s *scene) {
		s.t.Helper()
		pipeline := given.CdPipeline(name, given.InNamespace(s.namespace))
		require.NoError(s.t, s.cluster.Delete(s.t.Context(), pipeline))
		require.Eventually(s.t, func() bool {
			return client.IgnoreNotFound(s.cache.Get(s.t.Context(), s.named(name), &v1alpha1.CdPipeline{})) == nil &&
				s.cache.Get(s.t.Context(), s.named(name), &v1alpha1.CdPipeline{}) != nil
		}, patience, patience/1000)
	}
}

// moves hangs a pipeline below another.
func moves(name, below string) func(*scene) {
	return func(s *scene) {
		s.t.Helper()
		pipeline := &v1alpha1.CdPipeline{}
		require.NoError(s.t, s.cluster.Get(s.t.Context(), types.NamespacedName{Namespace: s.namespace, Name: name}, pipeline))
		given.BelowCd(below)(pipeline)
		require.NoError(s.t, s.cluster.Update(s.t.Context(), pipeline))
		s.sees(pipeline)
	}
}

// adds creates a pipeline below another.
func adds(name, below string) func(*scene) {
	return func(s *scene) { s.create(given.CdPipeline(name, given.BelowCd(below))) }
}

func TestWhatWaitedForAParentIsSettledAtItsEndWhateverBecameOfIt(t *testing.T) {
	t.Parallel()
	const triggered, waits = " Triggered/Triggered", " Waiting/ParentRunning"
	for sentence, tc := range map[string]struct {
		meanwhile func(*scene)
		ends      store.Status
		want      []string
	}{
		"a child that was deleted, and what hung below it": {
			deletes("child"), store.StatusSucceeded,
			[]string{"child Skipped/ParentChanged", "grandchild Skipped/ParentChanged"},
		},
		"a child that hangs elsewhere, with what hangs below it": {
			moves("child", "other"), store.StatusSucceeded,
			[]string{"child Skipped/ParentChanged", "grandchild Skipped/ParentChanged"},
		},
		"the same where the parent fails": {
			moves("child", "other"), store.StatusFailed,
			[]string{"child Skipped/ParentChanged", "grandchild Skipped/ParentChanged"},
		},
		"a grandchild that hangs elsewhere": {
			moves("grandchild", "other"), store.StatusSucceeded,
			[]string{"child" + triggered, "grandchild Skipped/ParentChanged"},
		},
		"a grandchild that has become a child": {
			moves("grandchild", "web"), store.StatusSucceeded,
			[]string{"child" + triggered, "grandchild" + triggered},
		},
		"a child that was added is triggered, and what was added below it waits for it": {
			func(s *scene) { adds("added", "web")(s); adds("below", "added")(s) }, store.StatusSucceeded,
			[]string{"added" + triggered, "below" + waits, "child" + triggered, "grandchild" + waits},
		},
		"a child that was added below one that fails is decided on": {
			adds("added", "web"), store.StatusFailed,
			[]string{"added Blocked/ParentNotSucceeded", "child Blocked/ParentNotSucceeded", "grandchild Blocked/ParentNotSucceeded"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := planned(t, given.CdPipeline("web"), given.CdPipeline("child", given.BelowCd("web")),
				given.CdPipeline("grandchild", given.BelowCd("child")), given.CdPipeline("other", given.Manual))
			tc.meanwhile(s)
			s.end(tc.ends)
			follow(t, s.follower())
			require.Equal(t, append(tc.want, "other Skipped/ManualTrigger", "web"+triggered), s.table(decided))
			require.Equal(t, []string{}, s.table(`SELECT pipeline FROM trigger_decision d WHERE outcome = 'Waiting'
				AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.pipeline_uid = d.waits_for AND w.outcome IS NULL)`))
		})
	}
}

func TestTheEventOfWhatIsSettledTellsWhy(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web"), given.CdPipeline("child", given.BelowCd("web")), given.CdPipeline("other", given.Manual))
	moves("child", "other")(s)
	s.end(store.StatusSucceeded)
	follow(t, s.follower())
	require.Equal(t, []string{"child Skipped ParentChanged: it hangs below CdPipeline web no longer: its new parent triggers it"},
		s.table(`SELECT pipeline || ' ' || state || ' ' || reason || ': ' || message FROM event WHERE reason = 'ParentChanged'`))
}

// A child that has run for its old parent is not run again for its new one, and what hangs
// below it does not wait for a run that is over.
func TestAChildThatHasRunAndHangsBelowAnotherRunsNoSecondTime(t *testing.T) {
	t.Parallel()
	s := planned(t, given.CdPipeline("web"), given.CdPipeline("slow", given.Priority(-1), given.WithPre),
		given.CdPipeline("child", given.BelowCd("web")), given.CdPipeline("grandchild", given.BelowCd("child")))
	follower := s.follower()
	for range 3 { // web, child, grandchild; slow comes to its last stage, and then to its end
		s.end(store.StatusSucceeded)
		if len(s.table("SELECT pipeline FROM cd_workflow WHERE pipeline = 'child'")) > 0 {
			moves("child", "slow")(s)
		}
		follow(t, follower)
	}
	require.Equal(t, []string{"child Succeeded", "grandchild Succeeded", "slow Succeeded", "web Succeeded"}, s.table(ran))
	require.Equal(t, []string{"child Triggered/Triggered", "grandchild Triggered/Triggered", "slow Triggered/Triggered", "web Triggered/Triggered"}, s.table(decided))
}
