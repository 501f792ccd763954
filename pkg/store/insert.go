package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// stageTask is the task of a stage that is to be inserted.
type stageTask struct {
	pipeline PipelineRef
	buildUID string
	// number is the run's among those of its artifact, attempt the stage's own.
	number, attempt int32
	inputs          trigger.Inputs
	status          Status
	hold            trigger.Hold
	priority        int32
	// fair is the task's place among those of its build, whose planning began that long
	// before.
	fair  int
	since time.Duration
	delay time.Duration
}

func (t stageTask) identity() trigger.Identity {
	identity := trigger.Identity{
		BuildUID: t.buildUID, PipelineUID: t.pipeline.UID, Run: t.number, Stage: t.inputs.Stage, Attempt: t.attempt,
	}
	if !t.inputs.All {
		identity.Image, identity.Digest = t.inputs.Image, t.inputs.Digest
	}
	return identity
}

// tasks gathers what one statement inserts.
type tasks struct {
	params dbsqlc.InsertTasksParams
	err    error
}

func newTasks(actor string) *tasks {
	return &tasks{params: dbsqlc.InsertTasksParams{Kind: string(KindCd), Actor: actor}}
}

// add returns the task's identity.
func (t *tasks) add(task stageTask) string {
	identity := task.identity()
	inputs := task.inputs
	inputs.Revision = clean(inputs.Revision)
	encoded, err := json.Marshal(inputs)
	if err != nil {
		t.err = fmt.Errorf("encode inputs: %w", err)
	}
	p := &t.params
	p.Namespaces = append(p.Namespaces, task.pipeline.Namespace)
	p.OwnerKinds = append(p.OwnerKinds, "CdPipeline")
	p.OwnerNames = append(p.OwnerNames, task.pipeline.Name)
	p.OwnerUids = append(p.OwnerUids, task.pipeline.UID)
	p.Identities = append(p.Identities, identity.Hash())
	p.WorkflowNames = append(p.WorkflowNames, trigger.WorkflowName(task.pipeline.Name, identity))
	p.Inputs = append(p.Inputs, string(encoded))
	p.Statuses = append(p.Statuses, string(task.status))
	p.Reasons = append(p.Reasons, string(task.hold.Reason))
	p.Messages = append(p.Messages, clean(task.hold.Message))
	p.Priorities = append(p.Priorities, task.priority)
	p.FairAfters = append(p.FairAfters, interval(time.Duration(task.fair)*trigger.FairQuantum-task.since))
	p.Delays = append(p.Delays, interval(task.delay))
	return identity.Hash()
}

// insert returns the ids of the tasks, by identity.
func (t *tasks) insert(ctx context.Context, queries *dbsqlc.Queries) (map[string]int64, error) {
	if t.err != nil || len(t.params.Identities) == 0 {
		return nil, t.err
	}
	rows, err := queries.InsertTasks(ctx, t.params)
	if err != nil {
		return nil, fmt.Errorf("insert tasks: %w", err)
	}
	ids := make(map[string]int64, len(rows))
	for _, row := range rows {
		ids[row.Identity] = row.ID
	}
	return ids, nil
}
