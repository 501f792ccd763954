package evolution

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"

	workflows "github.com/argoproj/argo-workflows/v3/pkg/client/clientset/versioned/typed/workflow/v1alpha1"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/workload"
)

// story is what all approaches before the pool had: database/sql as it comes, whose
// pool has no bound, and client-go. A trigger that fails is lost.
type story struct {
	database  *sql.DB
	workflows workflows.WorkflowInterface
	lost      *losses
}

// story is one of those that came before.
func (j job) story(config *rest.Config) (*approach, error) {
	address, err := url.Parse(j.DatabaseURL)
	if err != nil {
		return nil, errors.New("the database's URL is not valid")
	}
	query := address.Query()
	query.Set("application_name", application)
	query.Set("search_path", fixture.Schema)
	address.RawQuery = query.Encode()
	client, err := workflows.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	database, err := sql.Open("pgx", address.String())
	if err != nil {
		return nil, errors.New("open database")
	}
	s := &story{database: database, workflows: client.Workflows(namespace), lost: &losses{}}
	triggerAll := map[string]func(context.Context, []workload.Trigger){
		naive: s.naive, waitGroup: s.waitGroup, batchBarrier: s.batchBarrier,
	}[j.Approach]
	if triggerAll == nil {
		return nil, fmt.Errorf("there is no approach %q", j.Approach)
	}
	triggers := j.Workload.List()
	run := func(ctx context.Context) error {
		triggerAll(ctx, triggers)
		return ctx.Err()
	}
	return &approach{run: run, close: func() { _ = database.Close() }, lost: s.lost}, nil
}

// naive starts a goroutine for each and returns at once. Here nobody would be left to
// see what becomes of them, so that their end is waited for from the outside.
func (s *story) naive(ctx context.Context, triggers []workload.Trigger) {
	through := make(chan struct{}, len(triggers))
	fireAndForget := func() {
		for _, trigger := range triggers {
			go func() {
				s.try(ctx, trigger)
				through <- struct{}{}
			}()
		}
	}
	fireAndForget()
	for range triggers {
		<-through
	}
}

// waitGroup is the same, waiting for all.
func (s *story) waitGroup(ctx context.Context, triggers []workload.Trigger) {
	var group sync.WaitGroup
	for _, trigger := range triggers {
		group.Go(func() { s.try(ctx, trigger) })
	}
	group.Wait()
}

// batchBarrier waits for each five.
func (s *story) batchBarrier(ctx context.Context, triggers []workload.Trigger) {
	for batch := range slices.Chunk(triggers, atOnce) {
		s.waitGroup(ctx, batch)
	}
}

// try does one trigger. The story logged the error and went on: how much is lost is
// counted afterwards, by what is there.
func (s *story) try(ctx context.Context, trigger workload.Trigger) {
	if err := s.trigger(ctx, trigger); err != nil {
		s.lost.add(err)
	}
}

const (
	insertRun = `
		WITH turn AS (
			INSERT INTO turn (pipeline_uid, build_uid, built_at, build_seq, state)
			SELECT $2, build_uid, created_at, seq, 'Active' FROM ci_build WHERE build_uid = $3 RETURNING id)
		INSERT INTO cd_workflow (ci_artifact_id, build_uid, turn_id, namespace, pipeline, pipeline_uid, cause)
		SELECT a.id, a.build_uid, turn.id, a.namespace, $1, $2, 'Webhook' FROM ci_artifact a, turn
		WHERE a.build_uid = $3 AND a.image = $4 AND a.digest = $5
		RETURNING id`
	insertStage = `
		WITH queued AS (
			INSERT INTO task (kind, namespace, owner_kind, owner_name, owner_uid, identity, workflow_name, priority, fair_at, status)
			VALUES ('cd', $4, 'CdPipeline', $5, $6, $7, $3, 0, now(), 'Submitting') RETURNING id)
		INSERT INTO cd_workflow_runner (cd_workflow_id, namespace, stage, task_id)
		SELECT $1, $4, $2, id FROM queued RETURNING task_id`
	recordWorkflow = `
		UPDATE task SET status = 'Submitted', submitted_at = now(), changed_at = now() WHERE id = $1`
)

func (s *story) trigger(ctx context.Context, trigger workload.Trigger) error {
	claim := &trigger.Claim
	owner, inputs := claim.Owner, claim.Inputs
	var run int64
	err := s.database.QueryRowContext(ctx, insertRun, owner.Name, owner.UID, trigger.BuildUID, inputs.Image, inputs.Digest).Scan(&run)
	if err != nil {
		return fmt.Errorf("insert run: %w", err)
	}
	err = s.database.QueryRowContext(ctx, insertStage, run, inputs.Stage, claim.WorkflowName, claim.Namespace,
		owner.Name, owner.UID, claim.Identity).Scan(&claim.ID)
	if err != nil {
		return fmt.Errorf("insert stage: %w", err)
	}
	workflow, err := trigger.Workflow()
	if err != nil {
		return fmt.Errorf("build workflow: %w", err)
	}
	if _, err := s.workflows.Create(ctx, workflow, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create workflow: %w", err)
	}
	if _, err := s.database.ExecContext(ctx, recordWorkflow, claim.ID); err != nil {
		return fmt.Errorf("record workflow: %w", err)
	}
	return nil
}
