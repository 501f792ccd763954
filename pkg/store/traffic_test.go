package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// rules are what holds of turns at any moment. Each lists what breaks it. A run that is
// open has not ended; what is under way occupies the pipeline.
var rules = map[string]string{
	"two builds never have the turn in one pipeline": `
		SELECT pipeline_uid FROM turn WHERE state = 'Active' AND pipeline_uid <> ALL($1) GROUP BY 1 HAVING count(*) > 1`,
	"what is under way has the turn": `
		SELECT DISTINCT t.id, n.state FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN turn n ON n.id = w.turn_id
		WHERE t.status IN ('Pending', 'Submitting', 'Submitted', 'Running') AND n.state <> 'Active' AND $1::text[] IS NOT NULL`,
	"what has the turn is under way": `
		SELECT n.id FROM turn n WHERE n.state = 'Active' AND $1::text[] IS NOT NULL AND NOT EXISTS (
			SELECT FROM cd_workflow w JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id JOIN task t ON t.id = r.task_id
			WHERE w.turn_id = n.id AND (t.status IN ('Pending', 'Submitting', 'Submitted', 'Running') OR t.status <> 'Held' AND t.settled_at IS NULL))`,
	"a build waits for its turn only while another has it": `
		SELECT pipeline_uid FROM turn WHERE $1::text[] IS NOT NULL GROUP BY 1 HAVING bool_or(state = 'Waiting') AND NOT bool_or(state = 'Active')`,
	"what waits for its turn has one to come": `
		SELECT t.id, n.state FROM task t JOIN cd_workflow_runner r ON r.task_id = t.id JOIN cd_workflow w ON w.id = r.cd_workflow_id JOIN turn n ON n.id = w.turn_id
		WHERE t.status = 'Held' AND t.reason = 'Turn' AND n.state <> 'Waiting' AND $1::text[] IS NOT NULL`,
	"a turn is over once its runs are": `
		SELECT n.id, n.state FROM turn n JOIN cd_workflow w ON w.turn_id = n.id WHERE $1::text[] IS NOT NULL
		GROUP BY n.id HAVING (n.state = 'Ended' AND bool_or(w.outcome IS NULL)) OR (n.state NOT IN ('Ended', 'Superseded') AND bool_and(w.outcome IS NOT NULL))`,
	"every turn has a run": `
		SELECT n.id FROM turn n WHERE $1::text[] IS NOT NULL AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.turn_id = n.id)`,
	"an open run has something to come": `
		SELECT w.id FROM cd_workflow w WHERE w.outcome IS NULL AND $1::text[] IS NOT NULL AND NOT EXISTS (
			SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
			WHERE r.cd_workflow_id = w.id AND t.settled_at IS NULL AND NOT (t.status = 'Held' AND t.reason = 'StageBefore'))`,
	"a run that has ended has nothing to come": `
		SELECT w.id FROM cd_workflow w JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id JOIN task t ON t.id = r.task_id
		WHERE w.outcome IS NOT NULL AND t.settled_at IS NULL AND $1::text[] IS NOT NULL`,
	// I8: of the turns that nobody asked for, in the order in which the first task of each
	// was let go, none is of an older build than one before it.
	"an older build never starts after a newer one": `
		SELECT l.pipeline_uid, l.build_uid FROM (
			SELECT n.*, lag((n.built_at, n.build_seq)) OVER (PARTITION BY n.pipeline_uid ORDER BY f.event) > (n.built_at, n.build_seq) AS late
			FROM turn n JOIN (SELECT w.turn_id, min(e.id) AS event FROM event e JOIN cd_workflow w ON w.id = e.run_id
				WHERE e.kind = 'Task' AND e.state = 'Pending' AND e.reason = '' GROUP BY 1) f ON f.turn_id = n.id
			WHERE NOT n.asked AND n.pipeline_uid <> ALL($1)) l
		WHERE l.late`,
	"who is superseded is older than another": `
		SELECT n.id FROM turn n WHERE n.state = 'Superseded' AND NOT EXISTS (
			SELECT FROM turn o WHERE o.pipeline_uid = n.pipeline_uid AND (o.built_at, o.build_seq) > (n.built_at, n.build_seq))
		AND $1::text[] IS NOT NULL`,
	"who is skipped is older than another": `
		SELECT d.id FROM trigger_decision d JOIN ci_build b USING (build_uid) WHERE d.reason = 'Superseded' AND NOT EXISTS (
			SELECT FROM turn o WHERE o.pipeline_uid = d.pipeline_uid AND (o.built_at, o.build_seq) > (b.created_at, b.seq))
		AND $1::text[] IS NOT NULL`,
}

// ends are rules that hold once nothing is left to do.
var endRules = map[string]string{
	"every turn is over":               "SELECT id, state FROM turn WHERE state NOT IN ('Ended', 'Superseded')",
	"every run is over":                "SELECT id FROM cd_workflow WHERE outcome IS NULL OR finished_at IS NULL",
	"every task is over and followed":  "SELECT id, status, reason FROM task WHERE settled_at IS NULL OR finished_at IS NULL",
	"nobody waits for a parent":        "SELECT id, pipeline, reason FROM trigger_decision WHERE outcome = 'Waiting'",
	"what is triggered has a run":      "SELECT d.id FROM trigger_decision d WHERE outcome = 'Triggered' AND NOT EXISTS (SELECT FROM cd_workflow w WHERE w.pipeline_uid = d.pipeline_uid AND w.build_uid = d.build_uid)",
	"every artifact has its decision":  "SELECT a.id, p.pipeline_uid FROM ci_artifact a CROSS JOIN cd_pipeline p WHERE NOT EXISTS (SELECT FROM trigger_decision d WHERE d.pipeline_uid = p.pipeline_uid AND d.build_uid = a.build_uid AND d.image = a.image)",
	"what ended well says what it did": "SELECT w.id FROM cd_workflow w WHERE w.outcome = 'Succeeded' AND EXISTS (SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id WHERE r.cd_workflow_id = w.id AND t.status <> 'Succeeded')",
}

// traffic is builds that come and end in any order in pipelines of every policy, and
// people who meddle.
type traffic struct {
	t      *testing.T
	s      *store.Store
	random *rand.Rand
	family given.Family
	// unplanned are the builds that run; made counts those that were made, and requests
	// those of people.
	unplanned      []trigger.Build
	made, requests int
}

func newTraffic(t *testing.T) *traffic {
	w := &traffic{t: t, s: newStore(t), random: newRandom(t)}
	for _, root := range []string{"a", "b", "c"} {
		for _, name := range []string{root, root + "-below"} {
			pipeline := given.CdPipeline(name, given.Concurrency(policies[w.random.IntN(len(policies))]))
			for _, one := range []func(*v1alpha1.CdPipeline){given.WithPre, given.WithPost, given.WithRetries(1, 0), given.AllArtifacts} {
				if w.random.IntN(3) == 0 {
					one(pipeline)
				}
			}
			if stages := trigger.Stages(pipeline, ""); w.random.IntN(2) == 0 {
				given.ManualStage(stages[w.random.IntN(len(stages))])(pipeline)
			}
			if name != root {
				given.BelowCd(root)(pipeline)
			}
			w.family = append(w.family, *pipeline)
		}
	}
	return w
}

// Builds that are planned in any order, end in any way, wait for people, are cancelled,
// asked for again, held and released, keep the order of their pipelines, and none is
// left behind.
func TestAnyOrderOfBuildsKeepsTheOrderOfThePipelines(t *testing.T) {
	t.Parallel()
	w := newTraffic(t)
	for range modelSteps(t) / 2 {
		says, do := w.next()
		require.NoError(t, do(), says)
		w.require(says)
	}
	w.finish()
}

func TestCallsAtOnceKeepTheOrderOfThePipelines(t *testing.T) {
	t.Parallel()
	w := newTraffic(t)
	for range modelSteps(t) / 4 {
		var says [3]string
		var errs [3]error
		var group sync.WaitGroup
		for i := range says {
			var do func() error
			says[i], do = w.next()
			group.Go(func() { errs[i] = do() })
		}
		group.Wait()
		require.NoError(t, errors.Join(errs[:]...), "%q", says)
		w.require(fmt.Sprintf("%q", says))
	}
	w.finish()
}

// next draws a call.
func (w *traffic) next() (string, func() error) {
	draws := []func() (string, func() error){
		w.plan, w.plan, w.claim, w.claim, w.complete, w.observe, w.observe, w.observe, w.observe, w.follow, w.follow, w.follow,
		w.resume, w.resume, w.cancel, w.cancelWaiting, w.ask, w.reconsider,
	}
	for {
		if says, do := draws[w.random.IntN(len(draws))](); do != nil {
			return says, do
		}
	}
}

// plan ends one of the builds that run, seldom one that was planned before.
func (w *traffic) plan() (string, func() error) {
	for len(w.unplanned) < 4 {
		// Some builds are made within one second.
		w.unplanned = append(w.unplanned, builtAt(fmt.Sprintf("b%d", w.made), w.made-w.made%3/2))
		w.made++
	}
	i := w.random.IntN(len(w.unplanned))
	plan := planOf(w.t, w.unplanned[i], given.Artifacts(1+w.random.IntN(2)), slices.Clone(w.family))
	if w.random.IntN(10) > 0 {
		w.unplanned = slices.Delete(w.unplanned, i, i+1)
	}
	return "plan " + plan.Build.Name, func() error { _, err := w.s.Plan(w.t.Context(), plan); return err }
}

func (w *traffic) claim() (string, func() error) {
	n := 1 + w.random.IntN(4)
	return fmt.Sprint("claim ", n), func() error { _, err := w.s.Claim(w.t.Context(), cd, "w", n, lease); return err }
}

// row draws one of what a query yields: an id, and the name of a pipeline; false where
// there is none.
func (w *traffic) row(query string) (id int64, name string, ok bool) {
	lines := table(w.t, w.s, query)
	if len(lines) == 0 {
		return 0, "", false
	}
	_, err := fmt.Sscan(lines[w.random.IntN(len(lines))], &id, &name)
	require.NoError(w.t, err)
	return id, name, true
}

// complete tells what became of a claim. What is to be stopped has no Workflow yet.
func (w *traffic) complete() (string, func() error) {
	id, stop, ok := w.row("SELECT id, COALESCE(NULLIF(stop_reason, ''), 'no') FROM task WHERE status = 'Submitting' ORDER BY id")
	if !ok {
		return "", nil
	}
	end := []store.Status{store.StatusSubmitted, store.StatusSubmitted, store.StatusPending, store.StatusError, store.StatusCancelled}[w.random.IntN(5)]
	if stop != "no" {
		end = store.StatusCancelled
	}
	return fmt.Sprint("complete ", id, " as ", end), func() error {
		var attempt int32
		if err := w.s.Pool().QueryRow(w.t.Context(), "SELECT attempt FROM task WHERE id = $1", id).Scan(&attempt); err != nil {
			return err
		}
		_, err := w.s.Complete(w.t.Context(), "w", []store.Completion{{ID: id, Attempt: attempt, Status: end, Reason: v1alpha1.ReasonSubmissionDelayed}})
		return err
	}
}

func (w *traffic) observe() (string, func() error) {
	id, _, ok := w.row("SELECT id, owner_name FROM task WHERE status IN ('Submitting', 'Submitted', 'Running') ORDER BY id")
	if !ok {
		return "", nil
	}
	end := []store.Status{store.StatusRunning, store.StatusSucceeded, store.StatusSucceeded, store.StatusSucceeded, store.StatusFailed, store.StatusError}[w.random.IntN(6)]
	gone := w.random.IntN(20) == 0
	return fmt.Sprint("observe ", id, " as ", end, " gone ", gone), func() error {
		one := store.Observation{Status: end}
		err := w.s.Pool().QueryRow(w.t.Context(), "SELECT namespace, workflow_name, identity FROM task WHERE id = $1", id).Scan(&one.Namespace, &one.WorkflowName, &one.Identity)
		if err != nil {
			return err
		}
		one.WorkflowUID = "uid of " + one.WorkflowName
		if gone {
			one.Gone = id
		}
		_, err = observeUnlocked(w.t, w.s, []store.Observation{one})
		return err
	}
}

func (w *traffic) follow() (string, func() error) {
	ended := unfollowed(w.t, w.s)
	if len(ended) == 0 {
		return "", nil
	}
	says := "follow"
	var consequences []store.Consequence
	for _, one := range some(w.random, ended, 5) {
		consequences = append(consequences, consequenceOf(w.t, one, slices.Clone(w.family)))
		says += fmt.Sprint(" ", one.ID)
	}
	return says, func() error {
		err := w.s.Follow(w.t.Context(), consequences)
		if errors.Is(err, store.ErrStale) {
			return nil
		}
		return err
	}
}

// request is a new one of a person.
func (w *traffic) request(action v1alpha1.Action, pipeline string) store.Request {
	w.requests++
	return store.Request{
		Namespace: given.Namespace, Name: fmt.Sprint("request-", w.requests), SpecHash: "x", Action: action, Actor: "somebody", Pipeline: refOf(w.family, pipeline),
	}
}

func (w *traffic) resume() (string, func() error) {
	run, pipeline, ok := w.row("SELECT (inputs->>'run')::bigint, owner_name FROM task WHERE status = 'Held' AND reason = 'Person' ORDER BY id")
	if !ok {
		return "", nil
	}
	request, hold := w.request(v1alpha1.ActionResume, pipeline), holdOf(slices.Clone(w.family), pipeline)
	return fmt.Sprint("resume ", run), func() error {
		_, err := w.s.ResumeStages(w.t.Context(), request, run, "", hold)
		return err
	}
}

func (w *traffic) cancel() (string, func() error) {
	run, pipeline, ok := w.row("SELECT id, pipeline FROM cd_workflow WHERE outcome IS NULL ORDER BY id")
	if !ok || w.random.IntN(2) == 0 {
		return "", nil
	}
	request := w.request(v1alpha1.ActionCancel, pipeline)
	return fmt.Sprint("cancel ", run), func() error { _, err := w.s.CancelRuns(w.t.Context(), request, run); return err }
}

func (w *traffic) cancelWaiting() (string, func() error) {
	pipeline := w.family[w.random.IntN(len(w.family))]
	if w.random.IntN(6) > 0 {
		return "", nil
	}
	return "cancel what waits of " + pipeline.Name, func() error {
		_, err := w.s.CancelWaiting(w.t.Context(), string(pipeline.UID), v1alpha1.ReasonSuspended, "spec.suspend is true")
		return err
	}
}

// ask asks for a build that was planned before, older or not.
func (w *traffic) ask() (string, func() error) {
	pipeline := w.family[w.random.IntN(len(w.family))]
	_, name, ok := w.row("SELECT seq, build_name FROM ci_build ORDER BY seq")
	if !ok || w.random.IntN(3) > 0 {
		return "", nil
	}
	request, older, family := w.request(v1alpha1.ActionTrigger, pipeline.Name), w.random.IntN(2) == 0, slices.Clone(w.family)
	return fmt.Sprint("ask for ", name, " in ", pipeline.Name, " older ", older), func() error {
		build, err := w.s.FindBuild(w.t.Context(), given.Namespace, name)
		if err != nil {
			return err
		}
		decisions := decider(w.t).Requested(build.Build, build.Artifacts, &pipeline, family)
		_, err = w.s.StartRuns(w.t.Context(), request, store.Starting{Build: build.Build, Place: build.Place, Decisions: decisions, AllowOlder: older})
		return err
	}
}

// reconsider holds a pipeline or lets it go, or gives it another policy that keeps the order.
func (w *traffic) reconsider() (string, func() error) {
	w.family = slices.Clone(w.family)
	pipeline := &w.family[w.random.IntN(len(w.family))]
	if w.random.IntN(2) == 0 {
		pipeline.Spec.Hold = !pipeline.Spec.Hold
	} else if pipeline.Spec.ConcurrencyPolicy != v1alpha1.ConcurrencyAllow {
		pipeline.Spec.ConcurrencyPolicy = policies[w.random.IntN(3)]
	}
	ref, hold := refOf(w.family, pipeline.Name), holdOf(slices.Clone(w.family), pipeline.Name)
	var pending trigger.Hold
	if pipeline.Spec.Hold {
		pending = trigger.HoldOf(pipeline, trigger.StageDeploy, true)
	}
	return fmt.Sprint("reconsider ", pipeline.Name), func() error { return w.s.Reconsider(w.t.Context(), ref, pending, hold) }
}

// require checks every rule.
func (w *traffic) require(says string) {
	w.t.Helper()
	exempt := []string{}
	for _, pipeline := range w.family {
		if pipeline.Spec.ConcurrencyPolicy == v1alpha1.ConcurrencyAllow {
			exempt = append(exempt, string(pipeline.UID))
		}
	}
	for rule, breaks := range rules {
		require.Empty(w.t, table(w.t, w.s, breaks, exempt), "%s, after: %s", rule, says)
	}
}

// finish lets everything go and end: nothing is left.
func (w *traffic) finish() {
	w.t.Helper()
	for i := range w.family {
		w.family[i].Spec.Hold = false
		require.NoError(w.t, w.s.Reconsider(w.t.Context(), refOf(w.family, w.family[i].Name), trigger.Hold{}, holdOf(w.family, w.family[i].Name)))
	}
	for {
		drain(w.t, w.s, w.family, store.StatusSucceeded)
		w.require("the end")
		run, pipeline, ok := w.row("SELECT (inputs->>'run')::bigint, owner_name FROM task WHERE status = 'Held' AND reason = 'Person' ORDER BY id")
		if !ok {
			break
		}
		resume(w.t, w.s, w.family, pipeline, run)
	}
	for rule, breaks := range endRules {
		require.Empty(w.t, table(w.t, w.s, breaks), rule)
	}
	w.t.Logf("%v", table(w.t, w.s, "SELECT state, count(*) FROM turn GROUP BY 1 ORDER BY 1"))
}
