package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
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

// newLanes is a world with pipelines and a build of them that has not ended, and a pipeline of
// which builds run here. It is narrow, since its controller reaches the API server through a
// proxy, or at a rate of its own.
func newLanes(t *testing.T, pipelines int, with func(*v1alpha1.CdPipeline), buildsTake time.Duration, settings ...string) *world.World {
	t.Helper()
	w := newNarrowWorld(t, settings...)
	w.CreateFamily(given.CdPipelines(pipelines, "cd", with))
	w.Create(given.Declares(given.BuildTemplate("build", builtImage, buildsTake), wfv1.Parameter{Name: "build"}), given.CiPipeline(given.CI), given.CiBuild("app-1"),
		given.CiPipeline("ci-here", given.Builds("build"), given.BuildPolicy(v1alpha1.ConcurrencyAllow)))
	return w
}

// queueBuilds creates builds that run here.
func queueBuilds(w *world.World, builds int) {
	for n := range builds {
		w.Create(given.CiBuild(fmt.Sprintf("here-%03d", n), given.BuildOf("ci-here")))
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
			w := newLanes(t, all, given.Runs(given.Template), time.Second)
			proxy, err := fault.NewAPIServer(apart.Config)
			require.NoError(t, err)
			t.Cleanup(proxy.Close)
			proxy.Break(hang(test.hangs))
			w.StartWith(env.ControllerOptions{Cluster: proxy.Through(apart.ConfigFor(env.Penstock))})
			queue := map[string]func(){"cd": func() { w.Succeed("app-1") }, "ci": func() { queueBuilds(w, all) }}
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
	w := newLanes(t, deployments, given.Runs("slow"), 20*time.Second, "KUBE_API_QPS=6", "KUBE_API_BURST=1")
	// Neither ends meanwhile: the look at what hangs below a deployment takes a token too, and so
	// does telling the end of a build.
	w.Create(given.WorkflowTemplate("slow", 20*time.Second))
	w.Start()
	w.Succeed("app-1")
	w.Eventually("deployments are under way", func(context.Context) bool { return tasks(w, "cd", "Submitted", "Running", "Succeeded") > 0 })
	queueBuilds(w, builds)
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
