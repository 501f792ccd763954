package view

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

type timestamp = pgtype.Timestamptz

const (
	// pending is the state of tasks that are in the queue.
	pending = "Pending"
	// maxAhead is how many tasks of a queue are counted.
	maxAhead = 10_000
	// maxWorkers is how many processes are looked at that have said that they live.
	maxWorkers = 20
)

// lane is where a task waits.
type lane struct{ kind, cluster string }

// The lanes of our own cluster.
var (
	laneCd = lane{kind: string(store.KindCd)}
	laneCi = lane{kind: string(store.KindCi)}
)

func (l lane) name() string {
	return store.Lane{Kind: store.Kind(l.kind), Cluster: l.cluster}.Name()
}

// explanation reads what some decisions of one build have come to.
type explanation struct {
	*View

	namespace, buildUID string
	decisions           []Decision
	// run is the run to explain; 0 is the newest of each decision.
	run int64

	now       time.Time
	heard     *store.WorkerState
	heardAt   time.Time
	runOf     map[int]int64 // by the place of the decision
	aboveOf   map[int]int64
	runs      map[int64]*explain.Run
	pipelines map[string]pipelineAbove
}

// pipelineAbove is what a pipeline hangs below, and the newest build that has had its turn there.
type pipelineAbove struct {
	parent explain.Parent
	newest string
}

// read reads in eight statements at most, however many decisions there are.
func (e *explanation) read(ctx context.Context) error {
	if err := e.hear(ctx); err != nil {
		return err
	}
	if len(e.decisions) == 0 {
		return nil
	}
	if err := e.findRuns(ctx); err != nil {
		return err
	}
	if err := e.findParents(ctx); err != nil {
		return err
	}
	ids := slices.Compact(slices.Sorted(maps.Values(joined(e.runOf, e.aboveOf))))
	runs, _, err := e.View.runs(ctx, ids)
	if err != nil {
		return err
	}
	e.runs = make(map[int64]*explain.Run, len(runs))
	for _, run := range runs {
		e.runs[run.ID] = &explain.Run{Run: run}
	}
	return e.addTasks(ctx)
}

// joined puts the values of both under keys of their own.
func joined(some, others map[int]int64) map[int]int64 {
	all := maps.Clone(some)
	for place, id := range others {
		all[-1-place] = id
	}
	return all
}

// findRuns finds the newest run of each decision, and of each pipeline that is waited for.
func (e *explanation) findRuns(ctx context.Context) error {
	e.runOf, e.aboveOf = map[int]int64{}, map[int]int64{}
	asked := dbsqlc.ExplainRunsParams{BuildUid: e.buildUID}
	ask := func(place int, decision rest.Decision, uid string) {
		asked.Places = append(asked.Places, int32(place)) //nolint:gosec // at most twice the size of a page
		asked.Images, asked.Digests = append(asked.Images, decision.Image), append(asked.Digests, decision.Digest)
		asked.PipelineUids = append(asked.PipelineUids, uid)
	}
	for place, decision := range e.decisions {
		ask(place, decision.Decision, decision.PipelineUID)
		if decision.WaitsFor != "" {
			ask(len(e.decisions)+place, decision.Decision, decision.WaitsFor)
		}
	}
	rows, err := e.queries.ExplainRuns(ctx, asked)
	if err != nil {
		return fmt.Errorf("find runs: %w", err)
	}
	for _, row := range rows {
		if place := int(row.Place); place < len(e.decisions) {
			e.runOf[place] = row.ID
		} else {
			e.aboveOf[place-len(e.decisions)] = row.ID
		}
	}
	if e.run != 0 {
		e.runOf[0] = e.run
	}
	return nil
}

// findParents finds what the pipelines hang below.
func (e *explanation) findParents(ctx context.Context) error {
	var uids []string
	for _, decision := range e.decisions {
		uids = append(uids, decision.PipelineUID)
	}
	rows, err := e.queries.ExplainParents(ctx, uids)
	if err != nil {
		return fmt.Errorf("find parents: %w", err)
	}
	e.pipelines = make(map[string]pipelineAbove, len(rows))
	for _, row := range rows {
		e.pipelines[row.PipelineUid] = pipelineAbove{explain.Parent{Kind: row.ParentKind, Name: row.ParentName}, row.Newest}
	}
	return nil
}

// facts are those of each decision.
func (e *explanation) facts() []explain.Facts {
	by := e.controllerOf(laneCd)
	all := make([]explain.Facts, len(e.decisions))
	for place, decision := range e.decisions {
		all[place] = explain.Facts{
			Namespace: e.namespace, Now: e.now, Pipeline: decision.Pipeline, Build: decision.Build,
			Parent: e.pipelines[decision.PipelineUID].parent, Newest: e.pipelines[decision.PipelineUID].newest,
			Decision: &decision.Decision, Run: e.runs[e.runOf[place]], Above: e.runs[e.aboveOf[place]], Controller: by,
		}
	}
	return all
}
