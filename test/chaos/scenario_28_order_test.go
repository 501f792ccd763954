package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// rivals is how many builds each pipeline has: the oldest, the newest, and one that may wait
// between them.
const rivals = 3

// finishings are all orders in which the builds may end; 0 is the oldest.
var finishings = [][rivals]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

// courses are what becomes of the runs of a pipeline.
var courses = map[string]struct {
	pipeline []func(*v1alpha1.CdPipeline)
	// takes is how long each stage of the oldest, the next and the newest build takes.
	takes [rivals]string
	// outcome is how a run ends that nobody supersedes; empty where it waits for a person.
	outcome string
}{
	"one-stage":     {nil, [rivals]string{"1s", "1s", "1s"}, "Succeeded"},
	"three-stages":  {[]func(*v1alpha1.CdPipeline){given.WithPre, given.WithPost}, [rivals]string{"1s", "1s", "1s"}, "Succeeded"},
	"old-are-slow":  {nil, [rivals]string{"6s", "3s", "1s"}, "Succeeded"},
	"new-are-slow":  {nil, [rivals]string{"1s", "3s", "6s"}, "Succeeded"},
	"backs-off":     {[]func(*v1alpha1.CdPipeline){failing, given.WithRetries(1, 2*time.Second)}, [rivals]string{"1s", "1s", "1s"}, "Failed"},
	"waits-by-hand": {[]func(*v1alpha1.CdPipeline){given.WithPre, given.ManualStage(trigger.StageDeploy)}, [rivals]string{"1s", "1s", "1s"}, ""},
}

// timed is a template whose Workflows take as long as their build's revision says.
func timed() *wfv1.WorkflowTemplate {
	template := given.WorkflowTemplate("timed", 0)
	template.Spec.Templates[0].Suspend.Duration = "{{workflow.parameters.revision}}"
	return template
}

// everyStage has all stages of the pipeline run a template.
func everyStage(template string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		for _, stage := range trigger.Stages(pipeline, "") {
			trigger.StageSpec(pipeline, stage).Workflow.TemplateRef.Name = template
		}
	}
}

func failing(pipeline *v1alpha1.CdPipeline) { everyStage("failing-pod")(pipeline) }

// contest is one pipeline and its builds.
type contest struct {
	name      string
	policy    v1alpha1.ConcurrencyPolicy
	course    string
	finishing [rivals]int
}

func (c contest) build(i int) string { return fmt.Sprintf("%s-%d", c.name, i) }

// contests are every policy with every order and every course.
func contests() []contest {
	var list []contest
	for _, policy := range policies {
		for _, course := range slices.Sorted(maps.Keys(courses)) {
			for _, finishing := range finishings {
				list = append(list, contest{name: fmt.Sprintf("c-%d", len(list)), policy: policy, course: course, finishing: finishing})
			}
		}
	}
	return list
}

// Without a restart each build is planned when it ends; with restarts, in any order.
func TestAnOlderBuildNeverReplacesANewerOneAtRandom(t *testing.T) {
	t.Parallel()
	for sentence, restarts := range map[string]int{"without a restart": 0, "killed again and again": sized(20, 6)} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if restarts == 0 {
				long(t)
			}
			random, all := newRandom(t), contests()
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			newRivalry(t, random, all[:sized(len(all), 16)]).run(restarts)
		})
	}
}

// rivalry is a world in which contests take place.
type rivalry struct {
	*world.World
	t        *testing.T
	random   *rand.Rand
	contests []contest
}

func newRivalry(t *testing.T, random *rand.Rand, contests []contest) *rivalry {
	t.Helper()
	r := &rivalry{World: newWorld(t), t: t, random: random, contests: contests}
	r.Create(timed(), given.PodTemplate("failing-pod", "1"))
	for _, c := range contests {
		change := append([]func(*v1alpha1.CdPipeline){
			given.BelowCi(c.name), given.Concurrency(c.policy), given.Priority(int32(random.IntN(3))),
		}, courses[c.course].pipeline...)
		pipeline := given.CdPipeline(c.name, change...)
		if courses[c.course].outcome != "Failed" {
			everyStage("timed")(pipeline)
		}
		r.Create(given.CiPipeline(c.name), pipeline)
	}
	for i := range rivals {
		var builds []client.Object
		for _, c := range contests {
			build := given.CiBuild(c.build(i), given.BuildOf(c.name))
			build.Spec.Revision = courses[c.course].takes[i]
			builds = append(builds, build)
		}
		r.Create(builds...)
		pause(r.World, time.Second) // what the API server tells of an object's age
	}
	return r
}

func (r *rivalry) run(restarts int) {
	controller := r.Start()
	for step := range rivals {
		var finishing errgroup.Group
		finishing.SetLimit(8)
		for _, c := range r.contests {
			finishing.Go(func() error { return r.TrySucceed(r.t.Context(), c.build(c.finishing[step])) })
		}
		for range restarts / rivals {
			r.moment()
			require.NoError(r.t, controller.Kill())
			controller = r.Launch(env.ControllerOptions{})
		}
		require.NoError(r.t, finishing.Wait())
		if restarts == 0 {
			r.planned((step + 1) * len(r.contests))
		}
		r.reprioritize()
		r.moment()
	}
	allEnded(r.t, r.World, rivals*len(r.contests))
	r.Judge()
	for _, c := range r.contests {
		r.confirm(c, restarts == 0)
	}
}

func (r *rivalry) moment() { pause(r.World, time.Duration(r.random.IntN(1500))*time.Millisecond) }

func (r *rivalry) planned(builds int) {
	r.Eventually(fmt.Sprintf("%d builds planned", builds), func(context.Context) bool {
		return r.Count(`SELECT count(*) FROM ci_build WHERE planned_at IS NOT NULL`) == builds
	})
}

// reprioritize changes the priority of some pipelines.
func (r *rivalry) reprioritize() {
	for _, c := range r.contests {
		if r.random.IntN(4) > 0 {
			continue
		}
		patch, err := json.Marshal(map[string]any{"spec": map[string]any{"priority": r.random.IntN(3)}})
		require.NoError(r.t, err)
		object := &v1alpha1.CdPipeline{}
		object.Name = c.name
		require.NoError(r.t, r.Cluster.Patch(r.t.Context(), object, client.RawPatch(types.MergePatchType, patch)))
	}
}

// confirm looks at the end of one contest: the newest build has gone its way, whenever it
// ended, and is what is deployed. The oracle has seen that none replaced a newer one.
func (r *rivalry) confirm(c contest, calm bool) {
	r.t.Helper()
	want := courses[c.course].outcome
	require.Equal(r.t, 1, r.Count(`
		SELECT count(*) FROM cd_workflow w JOIN ci_build b ON b.build_uid = w.build_uid
		WHERE w.pipeline = $1 AND b.build_name = $2 AND COALESCE(w.outcome, '') = $3`, c.name, c.build(rivals-1), want), "%+v", c)
	ordered := c.policy != v1alpha1.ConcurrencyAllow
	if want == "Succeeded" && ordered {
		require.Equal(r.t, 1, r.Count(`
			SELECT count(*) FROM deployed d JOIN cd_pipeline p ON p.pipeline_uid = d.pipeline_uid
			WHERE p.pipeline = $1 AND d.build_name = $2`, c.name, c.build(rivals-1)), "%+v", c)
	}
	goesOn := c.policy == v1alpha1.ConcurrencyQueue && calm && c.finishing == finishings[0] && want != ""
	if !ordered || goesOn {
		require.Equal(r.t, rivals, r.Count(`
			SELECT count(*) FROM cd_workflow WHERE pipeline = $1 AND COALESCE(outcome, '') = $2`, c.name, want), "%+v", c)
	}
}
