package oracle

import (
	"context"
	"fmt"
	"slices"
	"sync"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/jackc/pgx/v5/pgxpool"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Witness observes every status that CiBuilds and CdPipelines of a namespace ever
// have, and looks at once whether the rows are as far as it claims. The rows only
// move forward, but for runs that are reopened, so that a claim which is ahead of them was ahead when it was made.
//
// It counts the Workflows, too: a request that was broken off may have made one, which
// no log of requests tells.
type Witness struct {
	database *pgxpool.Pool
	cancel   context.CancelFunc
	done     sync.WaitGroup

	mu     sync.Mutex
	judged int
	found  []string
	made   map[string]types.UID // Workflows by name
	twice  []string             // names that were given to two
}

// StartWitness begins to look at what is told from now on, until Stop.
func StartWitness(ctx context.Context, cluster client.WithWatch, namespace string, database *pgxpool.Pool) (*Witness, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &Witness{database: database, cancel: cancel, made: map[string]types.UID{}}
	workflows := &metav1.PartialObjectMetadataList{}
	workflows.SetGroupVersionKind(wfv1.SchemeGroupVersion.WithKind("WorkflowList"))
	for _, list := range []client.ObjectList{&v1alpha1.CiBuildList{}, &v1alpha1.CdPipelineList{}, workflows} {
		open := func() (watch.Interface, error) { return cluster.Watch(ctx, list, client.InNamespace(namespace)) }
		events, err := open()
		if err != nil {
			w.Stop()
			return nil, fmt.Errorf("watch statuses: %w", err)
		}
		w.done.Go(func() { w.look(ctx, events, open) })
	}
	return w, nil
}

// Stop ends the looking and waits for that.
func (w *Witness) Stop() {
	w.cancel()
	w.done.Wait()
}

// Found returns the claims that were ahead of the rows, and how many were looked at.
func (w *Witness) Found() (found []string, judged int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.found), w.judged
}

// Made returns how many Workflows Penstock has made, and the names that it has given to
// two of them.
func (w *Witness) Made() (workflows int, twice []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.made) + len(w.twice), slices.Clone(w.twice)
}

func (w *Witness) count(workflow client.Object) {
	if workflow.GetLabels()[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	name, uid := workflow.GetName(), workflow.GetUID()
	if before, known := w.made[name]; known && before != uid {
		w.twice = append(w.twice, name)
	}
	w.made[name] = uid
}

// look opens a watch again when it ends: the new one begins with what there is.
func (w *Witness) look(ctx context.Context, events watch.Interface, open func() (watch.Interface, error)) {
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if events == nil {
			events, _ = open()
		}
		if events != nil {
			w.follow(ctx, events)
			events = nil
		}
	}, quiescePoll)
}

func (w *Witness) follow(ctx context.Context, events watch.Interface) {
	defer context.AfterFunc(ctx, events.Stop)()
	for event := range events.ResultChan() {
		if event.Type == watch.Added || event.Type == watch.Modified {
			w.judge(ctx, event.Object)
		}
	}
}

// judge passes over what the database does not answer.
func (w *Witness) judge(ctx context.Context, object any) {
	var found []string
	var err error
	switch object := object.(type) {
	case *v1alpha1.CiBuild:
		found, err = w.buildAhead(ctx, object)
	case *v1alpha1.CdPipeline:
		found, err = w.pipelineAhead(ctx, object)
	case client.Object:
		w.count(object)
		return
	}
	if isBadQuery(err) {
		found, err = []string{fmt.Sprintf("a query of the witness is rejected: %s", err)}, nil
	}
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.judged++
	w.found = append(w.found, found...)
}

func (w *Witness) buildAhead(ctx context.Context, build *v1alpha1.CiBuild) ([]string, error) {
	told := build.Status.Triggers
	if told == nil {
		return nil, nil
	}
	// All that there ever were: what was told may have been run again since.
	all, err := readRuns(ctx, w.database, string(build.UID), allRuns)
	if err != nil {
		return nil, err
	}
	rows, exists := all[string(build.UID)]
	ahead := told.Total > rows.Total || created(told) > rows.Created ||
		told.Succeeded > rows.Succeeded+rows.Reopened || told.Failed > rows.Failed+rows.Reopened ||
		told.Cancelled > rows.Cancelled+rows.Reopened || told.Superseded > rows.Superseded+rows.Reopened
	early := meta.IsStatusConditionTrue(build.Status.Conditions, v1alpha1.ConditionTriggered) && created(told) < told.Total
	if exists && !ahead && !early {
		return nil, nil
	}
	return []string{fmt.Sprintf("I7: CiBuild %s told %+v when the rows were at %+v", build.Name, *told, rows)}, nil
}

// created is how many runs are told to have a Workflow.
func created(told *v1alpha1.TriggerSummary) (runs int32) {
	_, _ = fmt.Sscanf(told.Progress, "%d/", &runs) // none where nothing is told
	return runs
}

// reached tells whether the database has had a pipeline's stage in a status. That of
// Pending and Submitting is not looked for: a task may go back to Pending.
const reached = `
SELECT EXISTS (SELECT FROM cd_workflow w
	JOIN ci_artifact a ON a.id = w.ci_artifact_id
	JOIN cd_workflow_runner r ON r.cd_workflow_id = w.id
	WHERE w.id = $1 AND w.pipeline_uid = $2 AND a.build_name = $3 AND a.image = $4 AND a.digest = $5 AND r.stage = $6
		AND ($7::text IN ('Pending', 'Submitting') OR EXISTS (
			SELECT FROM event e WHERE e.namespace = w.namespace AND e.build_name = a.build_name
				AND e.kind = 'Task' AND e.run_id = w.id AND e.stage = r.stage AND e.state = $7)))`

func (w *Witness) pipelineAhead(ctx context.Context, pipeline *v1alpha1.CdPipeline) ([]string, error) {
	told := toldRun(pipeline.Status.LastRun)
	if told == nil {
		return nil, nil
	}
	var backed bool
	err := w.database.QueryRow(ctx, reached, told.ID, string(pipeline.UID), told.BuildName, told.Image, told.Digest, told.Stage, told.Status).Scan(&backed)
	if err != nil || backed {
		return nil, err
	}
	return []string{fmt.Sprintf("I7: CdPipeline %s told of %s before the rows", pipeline.Name, runText(told))}, nil
}
