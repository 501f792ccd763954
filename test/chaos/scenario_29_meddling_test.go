package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// A gate that lets half of the pipelines in loses a slot for each run that is not followed to
// its end, and so would stand still.
func TestWhatOthersDoToOurWorkflowsIsFollowedAtRandom(t *testing.T) {
	t.Parallel()
	pipelines, builds, meddling := sized(16, 6), sized(4, 2), time.Duration(sized(45, 12))*time.Second
	w := newWorld(t, fmt.Sprintf("MAX_ACTIVE_WORKFLOWS=%d", pipelines/2))
	m := newMeddler(t, w)
	ordered := []v1alpha1.ConcurrencyPolicy{v1alpha1.ConcurrencyQueue, v1alpha1.ConcurrencyLatest, v1alpha1.ConcurrencyAllow}
	w.Create(m.template(), given.CiPipeline(given.CI))
	for i := range pipelines {
		policy := ordered[m.random.IntN(len(ordered))]
		w.Create(given.CdPipeline(fmt.Sprintf("cd-%d", i), sometimes(m.random, given.WithPre), sometimes(m.random, given.WithPost), given.Concurrency(policy), everyStage(meddled)))
	}
	w.Start()
	for i := range builds {
		w.Create(given.CiBuild(fmt.Sprintf("b%d", i)))
		w.Succeed(fmt.Sprintf("b%d", i))
		m.meddle(meddling / time.Duration(builds))
	}
	m.undo()
	allEnded(t, w, builds)
	w.Eventually("every task tells what became of its Workflow", func(context.Context) bool { return len(m.untrue()) == 0 })
	t.Logf("meddled: %v", m.did)
	require.GreaterOrEqual(t, len(m.did), sized(len(m.acts()), 4), "too little was done")
	require.Zero(t, w.Count(`SELECT count(*) FROM task WHERE status IN ('Submitting', 'Submitted', 'Running')`), "the slots are free")
	w.Judge()
}

// meddled is the template that every stage runs.
const meddled = "meddled"

// meddler does to Workflows, templates and quotas what people and other controllers do.
type meddler struct {
	*world.World
	t      *testing.T
	random *rand.Rand
	// did counts what was done.
	did map[string]int
	// copied are the names of the copies that were made.
	copied map[string]bool
	// isGone and isFull tell that the template is gone, and that the quota is used up.
	isGone, isFull bool
}

func newMeddler(t *testing.T, w *world.World) *meddler {
	t.Helper()
	return &meddler{World: w, t: t, random: newRandom(t), did: map[string]int{}, copied: map[string]bool{}}
}

func (m *meddler) template() *wfv1.WorkflowTemplate {
	return given.WorkflowTemplate(meddled, 3*time.Second)
}

// acts are what may be done, each of which tells whether there was something to do it to.
func (m *meddler) acts() map[string]func() bool {
	patch := func(text string) func() bool {
		return func() bool {
			workflow := m.pick(wfv1.WorkflowUnknown, wfv1.WorkflowPending, wfv1.WorkflowRunning)
			return workflow != nil && m.patch(workflow, text)
		}
	}
	return map[string]func() bool{
		"relabel":    patch(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":"x","penstock.dev/identity":null,"penstock.dev/task":null}}}`),
		"disown":     patch(`{"metadata":{"ownerReferences":null}}`),
		"unfinalize": patch(`{"metadata":{"finalizers":null}}`),
		"stop":       m.stop,
		"retry":      m.retry,
		"resubmit":   m.resubmit,
		"template":   m.turnTemplate,
		"quota":      m.turnQuota,
	}
}

// meddle does one thing after another.
func (m *meddler) meddle(long time.Duration) {
	acts := m.acts()
	names := make([]string, 0, len(acts))
	for name := range acts {
		names = append(names, name)
	}
	slices.Sort(names) // or a seed would repeat nothing
	for over := time.Now().Add(long); time.Now().Before(over); {
		name := names[m.random.IntN(len(names))]
		if acts[name]() {
			m.did[name]++
		} else if m.random.IntN(3) == 0 {
			m.undo() // or hardly anything would run that can be meddled with
		}
		pause(m.World, time.Duration(m.random.IntN(500))*time.Millisecond)
	}
}

// undo brings back what is gone, and frees what is full.
func (m *meddler) undo() {
	if m.isGone {
		m.turnTemplate()
	}
	if m.isFull {
		m.turnQuota()
	}
}

// ours are the Workflows of tasks, by name, whatever is written on them.
func (m *meddler) ours() map[string]*wfv1.Workflow {
	var list wfv1.WorkflowList
	require.NoError(m.t, m.Cluster.List(m.t.Context(), &list))
	found := map[string]*wfv1.Workflow{}
	for i := range list.Items {
		if workflow := &list.Items[i]; !m.copied[workflow.Name] {
			found[workflow.Name] = workflow
		}
	}
	return found
}

// pick returns any of our Workflows in one of the phases; nil where there is none.
func (m *meddler) pick(phases ...wfv1.WorkflowPhase) *wfv1.Workflow {
	var some []*wfv1.Workflow
	for _, workflow := range m.ours() {
		if slices.Contains(phases, workflow.Status.Phase) {
			some = append(some, workflow)
		}
	}
	if len(some) == 0 {
		return nil
	}
	slices.SortFunc(some, func(a, b *wfv1.Workflow) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return some[m.random.IntN(len(some))]
}

func (m *meddler) patch(workflow *wfv1.Workflow, text string) bool {
	require.NoError(m.t, m.Cluster.Patch(m.t.Context(), workflow, client.RawPatch(types.MergePatchType, []byte(text))))
	return true
}

func (m *meddler) stop() bool {
	workflow := m.pick(wfv1.WorkflowRunning)
	if workflow == nil {
		return false
	}
	strategies := []wfv1.ShutdownStrategy{wfv1.ShutdownStrategyStop, wfv1.ShutdownStrategyTerminate}
	m.StopInArgo(workflow.Name, strategies[m.random.IntN(len(strategies))])
	return true
}

func (m *meddler) retry() bool {
	workflow := m.pick(wfv1.WorkflowFailed, wfv1.WorkflowError)
	if workflow == nil {
		return false
	}
	m.RetryInArgo(workflow.Name)
	return true
}

func (m *meddler) resubmit() bool {
	workflow := m.pick(wfv1.WorkflowSucceeded, wfv1.WorkflowFailed)
	if workflow == nil || m.isFull {
		return false
	}
	copied := resubmitted(workflow)
	if m.copied[copied.Name] {
		return false
	}
	m.copied[copied.Name] = true
	m.Create(copied)
	return true
}

func (m *meddler) turnTemplate() bool {
	m.isGone = !m.isGone
	if m.isGone {
		m.Delete(m.template())
	} else {
		m.Create(m.template())
	}
	return true
}

func (m *meddler) turnQuota() bool {
	m.isFull = !m.isFull
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "team"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/workflows.argoproj.io": resource.MustParse("0")}},
	}
	if m.isFull {
		m.Create(quota)
	} else {
		m.Delete(quota)
	}
	return true
}

// untrue are the tasks that tell of another end than their Workflows do, or of none.
func (m *meddler) untrue() (names []string) {
	ours := m.ours()
	rows, err := m.Database.Query(m.t.Context(), `SELECT workflow_name, status FROM task WHERE workflow_uid <> ''`)
	require.NoError(m.t, err)
	defer rows.Close()
	for rows.Next() {
		var name, status string
		require.NoError(m.t, rows.Scan(&name, &status))
		if workflow := ours[name]; workflow == nil || string(workflow.Status.Phase) != status {
			names = append(names, name+" "+status)
		}
	}
	require.NoError(m.t, rows.Err())
	return names
}
