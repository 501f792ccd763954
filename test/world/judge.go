package world

import (
	"context"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	w.quiesce()
	early, judged := w.witness.Found()
	require.Empty(w.t, early, "told before it was committed")
	require.Positive(w.t, judged, "the witness has seen nothing")
	_, twice := w.witness.Made()
	require.Empty(w.t, twice, "I3: Workflows that were made twice")
	oracle.Check(w.t, oracle.World{
		Database: w.Database, Clusters: []client.Reader{w.Cluster},
		Log: w.Log(), Limits: &w.Limits, Connections: w.connections.most(),
	})
}

// quiesce waits as long as what is under way becomes less: thousands of statuses take
// their time on a busy machine.
func (w *World) quiesce() {
	w.t.Helper()
	for last := ""; ; {
		ctx, cancel := context.WithTimeout(w.t.Context(), Patience)
		err := oracle.Quiesce(ctx, w.Database, w.Cluster)
		cancel()
		if err == nil {
			return
		}
		require.NotEqual(w.t, last, err.Error(), "nothing has changed for %s", Patience)
		last = err.Error()
	}
}
