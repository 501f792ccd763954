package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// poolSize is the default of CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE and of CI_BATCH_SIZE.
const poolSize = 5

// newLanes is a world with pipelines and a build of them that has not ended. It is narrow,
// since nothing in the product makes Workflows of the kind ci yet: its controller is a binary
// of the tests, which has a builder for them.
func newLanes(t *testing.T, pipelines int, with func(*v1alpha1.CdPipeline), settings ...string) *world.World {
	t.Helper()
	w := newNarrowWorld(t, settings...)
	w.CreateFamily(given.CdPipelines(pipelines, "cd", with))
	w.Create(given.WorkflowTemplate("ci-build", time.Second), given.CiPipeline(given.CI), given.CiBuild("app-1"))
	return w
}

// queueBuilds puts tasks of the kind ci into the queue, as their producer will.
func queueBuilds(t *testing.T, w *world.World, tasks int) {
	t.Helper()
	for n := range tasks {
		digest := sha256.Sum256(fmt.Appendf(nil, "%s build %d", w.Namespace, n))
		identity := hex.EncodeToString(digest[:20])
		_, err := w.Database.Exec(t.Context(), `
			WITH queued AS (
				INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, inputs, status, priority, fair_at)
				VALUES ('ci', $1, 'CiBuild', $2, $2, $3, $4, '{}', 'Pending', 0, now()) RETURNING id)
			INSERT INTO event (kind, namespace, task_id, state) SELECT 'Task', $1, id, 'Pending' FROM queued`,
			w.Namespace, fmt.Sprintf("ci-%03d", n), identity, fmt.Sprintf("ci-%03d-%s", n, identity[:16]))
		require.NoError(t, err)
	}
}

// tasks counts those of a kind in some states.
func tasks(w *world.World, kind string, states ...string) int {
	return w.Count(`SELECT count(*) FROM task WHERE kind = $1 AND status = ANY($2)`, kind, states)
}

// hang never answers the creation of a lane's Workflows.
func hang(kind string) fault.Rule {
	return func(_ context.Context, request fault.Request) fault.Fault {
		if request.Verb == "create" && request.Resource == "workflows" && strings.HasPrefix(request.Name, kind+"-") {
			return fault.Timeout
		}
		return fault.None
	}
}

func TestALaneWhoseSlotsAllHangHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct{ hangs, goesOn string }{
		"builds go on while deployments hang": {"cd", "ci"},
		"deployments go on while builds hang": {"ci", "cd"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			const all = 2 * poolSize
			w := newLanes(t, all, given.Runs(given.Template))
			proxy, err := fault.NewAPIServer(apart.Config)
			require.NoError(t, err)
			t.Cleanup(proxy.Close)
			proxy.Break(hang(test.hangs))
			w.StartWith(env.ControllerOptions{Binary: "penstock-failpoints", Cluster: proxy.Through(apart.ConfigFor(env.Penstock))})
			w.Limits.InFlight = 2 * poolSize
			queue := map[string]func(){"cd": func() { w.Succeed("app-1") }, "ci": func() { queueBuilds(t, w, all) }}
			queue[test.hangs]()
			w.Eventually("every slot hangs", func(context.Context) bool {
				hung := 0
				for _, request := range proxy.Requests() {
					if request.Fault == fault.Timeout {
						hung++
					}
				}
				return hung >= poolSize
			})
			queue[test.goesOn]()
			w.Eventually("the other lane ends", func(context.Context) bool { return tasks(w, test.goesOn, "Succeeded") == all })
			require.Equal(t, all, tasks(w, test.hangs, "Pending", "Submitting"))
			proxy.Break(nil)
			w.RowsAre(2*all, "Succeeded")
			w.MadeAre(2 * all)
			w.Judge()
		})
	}
}

func TestLanesTakeTurnsAtTheAPI(t *testing.T) {
	t.Parallel()
	// So slow a rate that both lanes wait for it all the time, on a busy machine too.
	const builds, deployments = 12, 30
	w := newLanes(t, deployments, given.Runs("slow"), "KUBE_API_QPS=6", "KUBE_API_BURST=1")
	// Deployments do not end meanwhile: the look at what hangs below one takes a token too.
	w.Create(given.WorkflowTemplate("slow", 20*time.Second))
	w.StartWith(env.ControllerOptions{Binary: "penstock-failpoints"})
	w.Limits.InFlight = 2 * poolSize
	w.Succeed("app-1")
	w.Eventually("deployments are under way", func(context.Context) bool { return tasks(w, "cd", "Submitted", "Running", "Succeeded") > 0 })
	queueBuilds(t, w, builds)
	w.RowsAre(builds+deployments, "Succeeded")

	// While builds were created, so were about as many deployments.
	made := map[string]audit.Log{}
	for _, event := range w.Log().Creates() {
		kind, _, _ := strings.Cut(event.Name, "-")
		made[kind] = append(made[kind], event)
	}
	require.Len(t, made["ci"], builds)
	require.Len(t, made["cd"], deployments)
	meanwhile := made["cd"].Since(made["ci"][0].Received).Until(made["ci"].Last())
	require.InDelta(t, builds, len(meanwhile), builds/3)
	w.Judge()
}
