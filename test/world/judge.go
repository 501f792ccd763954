package world

import (
	"context"
	"regexp"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/oracle"
)

// watch looks, from before the first controller on, at what only shows meanwhile.
func (w *World) watch() {
	w.t.Helper()
	var err error
	w.witness, err = oracle.StartWitness(context.Background(), w.Everywhere, w.Namespace, w.Database)
	require.NoError(w.t, err)
	w.t.Cleanup(w.witness.Stop)
	w.connections = watchConnections(w.Database)
	w.t.Cleanup(w.connections.stop)
}

// Judge waits until nothing is under way, and asks the oracle about every promise. A
// controller must run.
func (w *World) Judge() {
	w.t.Helper()
	w.quiesce(false)
	early, judged := w.witness.Found()
	require.Empty(w.t, early, "told before it was committed")
	require.Positive(w.t, judged, "the witness has seen nothing")
	_, twice := w.witness.Made()
	require.Empty(w.t, twice, "I3: Workflows that were made twice")
	oracle.Check(w.t, w.judged())
}

// judged is what the oracle looks at.
func (w *World) judged() oracle.World {
	return oracle.World{
		Database: w.Database, Clusters: w.readers(),
		Log: w.Log(), Limits: &w.Limits, Connections: w.connections.most(),
	}
}

// JudgeRestored is Judge for a database that has forgotten its last seconds. It returns the
// violations, without those that the loss alone explains: a Workflow of a forgotten task, an
// event about a forgotten run, and the decisions that stand for the forgotten runs of a build.
func (w *World) JudgeRestored(forgotten string) (violations []string) {
	w.t.Helper()
	w.quiesce(true)
	_, twice := w.witness.Made()
	require.Empty(w.t, twice, "I3: Workflows that were made twice")
	world := w.judged()
	world.Restored = true
	found, err := oracle.Violations(w.t.Context(), world)
	require.NoError(w.t, err)
	explained := regexp.MustCompile(`^I4: Workflow \S+ carries an identity, but no task wants it$|^I7: an event on CiBuild \S+ tells what no row says: ` +
		`|^I1: a decision says Triggered, but there is no run: ` + regexp.QuoteMeta(forgotten) + ` `)
	return slices.DeleteFunc(found, explained.MatchString)
}

// quiesce waits as long as what is under way becomes less: thousands of statuses take
// their time on a busy machine.
func (w *World) quiesce(restored bool) {
	w.t.Helper()
	world := oracle.World{Database: w.Database, Clusters: w.readers(), Restored: restored}
	for last := ""; ; {
		ctx, cancel := context.WithTimeout(w.t.Context(), Patience)
		err := oracle.QuiesceTelling(ctx, func(string) {}, world)
		cancel()
		if err == nil {
			return
		}
		require.NotEqual(w.t, last, err.Error(), "nothing has changed for %s", Patience)
		last = err.Error()
	}
}
