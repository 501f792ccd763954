package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// observe tells where Workflows are, seldom of a copy that is not the task's own.
func (w *world) observe() (step, bool) {
	var batch []observation
	for _, claim := range some(w.random, w.believed(), 3) {
		state := store.StatusSucceeded
		if w.random.IntN(2) == 0 {
			state = workflowStates[w.random.IntN(len(workflowStates))]
		}
		one := observation{seen(claim.Claim, state), claim.ID, claim.WorkflowName}
		one.Reason = []v1alpha1.Reason{"", v1alpha1.ReasonWorkflowFailed}[w.random.IntN(2)]
		if w.random.IntN(8) == 0 {
			one.Gone = claim.ID
		}
		if w.random.IntN(10) == 0 {
			part := []*string{&one.WorkflowName, &one.Namespace, &one.WorkflowUID, &one.Identity}[w.random.IntN(4)]
			*part = "not-" + *part
		}
		if !slices.ContainsFunc(batch, func(other observation) bool { return other.id == one.id }) {
			batch = append(batch, one)
		}
	}
	var moved []store.Moved
	var parts []step
	for i, one := range batch {
		parts = append(parts, step{says: fmt.Sprintf("observe %+v", one), apply: func(m *model, _ bool) error {
			return m.observe(batch[i:i+1], slices.DeleteFunc(slices.Clone(moved), func(task store.Moved) bool { return task.ID != one.id }))
		}})
	}
	return step{
		says: fmt.Sprintf("observe %+v", batch), parts: parts,
		do: func() (err error) {
			all := make([]store.Observation, len(batch))
			for i := range batch {
				all[i] = batch[i].Observation
			}
			moved, err = observeUnlocked(w.t, w.s, all)
			return err
		},
		apply: func(m *model, _ bool) error { return m.observe(batch, moved) },
	}, len(batch) > 0
}

// follow reads what has ended, as every follower does, and follows some of it.
func (w *world) follow() (step, bool) {
	ended := unfollowed(w.t, w.s)
	names := make([]string, len(ended))
	for i := range ended {
		names[i] = table(w.t, w.s, "SELECT workflow_name FROM task WHERE id = $1", ended[i].ID)[0]
		w.model.names[ended[i].ID] = names[i]
	}
	slices.Sort(names)
	require.ElementsMatch(w.t, w.model.unfollowed(), names)
	if len(ended) == 0 {
		return step{}, false
	}
	batch := some(w.random, ended, 4)
	w.ended = append(w.ended, batch)
	return w.following("follow", batch), true
}

// followLate comes back with what was read before.
func (w *world) followLate() (step, bool) {
	if len(w.ended) == 0 {
		return step{}, false
	}
	return w.following("follow late", w.ended[w.random.IntN(len(w.ended))]), true
}

func (w *world) following(says string, ended []store.Ended) step {
	consequences := make([]store.Consequence, len(ended))
	for i := range ended {
		consequences[i] = w.consequence(ended[i])
		says += fmt.Sprintf(" %s %s %s", ended[i].Build.Name, ended[i].Pipeline, ended[i].Stage)
	}
	var answer error
	return step{
		says:  says,
		do:    func() error { answer = w.s.Follow(w.t.Context(), consequences); return nil },
		apply: func(m *model, _ bool) error { return m.follow(consequences, answer) },
	}
}

// consequence is by the pipeline as it is now; one that is gone, or is another of
// the same name, ends its run.
func (w *world) consequence(ended store.Ended) store.Consequence {
	pipeline := w.family.CdPipeline(ended.Pipeline)
	if pipeline != nil && string(pipeline.UID) == ended.PipelineUID {
		return consequenceOf(w.t, ended, slices.Clone(w.family))
	}
	end := store.Consequence{Ended: ended, Policy: v1alpha1.ConcurrencyAllow, Outcome: store.StatusCancelled}
	return withDecisions(w.t, end, slices.Clone(w.family))
}

// meddle suspends or holds a pipeline, hangs it below another, deletes it, or takes that back.
func (w *world) meddle() {
	name := familyNames[w.random.IntN(len(familyNames))]
	w.family = slices.Clone(w.family)
	pipeline := w.family.CdPipeline(name)
	if pipeline == nil { // it comes back as another of its name
		w.generation++
		again := pipelineNamed(name)
		again.UID = given.UID(fmt.Sprint(name, w.generation))
		w.family = append(w.family, *again)
		return
	}
	switch w.random.IntN(9) {
	case 0:
		w.family = slices.DeleteFunc(w.family, func(p v1alpha1.CdPipeline) bool { return p.Name == name })
	case 1:
		given.BelowCd(familyNames[w.random.IntN(len(familyNames))])(pipeline)
	case 2:
		given.Suspended(pipeline)
	case 3:
		given.Held(pipeline)
	default:
		pipeline.Spec = pipelineNamed(name).Spec
	}
}

// some are up to most of all, in any order, none twice.
func some[T any](random *rand.Rand, all []T, most int) []T {
	chosen := make([]T, 0, most)
	for _, i := range random.Perm(len(all))[:min(len(all), 1+random.IntN(most))] {
		chosen = append(chosen, all[i])
	}
	return chosen
}

// familyNames are the pipelines of the world.
var familyNames = []string{"a", "b", "c", "d", "e", "f"}

// pipelineNamed is a pipeline as it is created.
func pipelineNamed(name string) *v1alpha1.CdPipeline {
	with := map[string][]func(*v1alpha1.CdPipeline){
		"a": {given.WithPre, given.WithPost},
		"b": {given.Priority(5), given.WithRetries(2, 0)},
		"c": {given.WithPost, given.ManualStage(trigger.StagePost)},
		"d": {given.BelowCd("a"), given.WithPre, given.WithRetries(1, time.Hour)},
		"e": {given.BelowCd("d")},
		"f": {given.BelowCd("b"), given.Filter("build.name != 'b3'")},
	}[name]
	return given.CdPipeline(name, append(with, unordered)...)
}
