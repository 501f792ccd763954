package evolution

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// ours is how many connections the bench itself has, as the database's
// administrator: one for the rows and one that watches.
const ours = 2

// trials runs approaches, again and again, on the same parts.
type trials struct {
	cluster *fixture.Cluster
	family  given.Family
	rows    *store.Store
	crowd   []*pgx.Conn
	count   int
}

func newTrials(ctx context.Context, cluster *fixture.Cluster, family given.Family) (*trials, error) {
	config, err := administrator(cluster)
	if err != nil {
		return nil, err
	}
	rows, err := store.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	t := &trials{cluster: cluster, family: family, rows: rows}
	for range taken - ours {
		connection, err := pgx.Connect(ctx, cluster.DatabaseURL)
		if err != nil {
			t.close()
			return nil, errors.New("take connections from the database")
		}
		t.crowd = append(t.crowd, connection)
	}
	return t, nil
}

// administrator is the environment's database as its administrator sees it, for
// whom there is always a connection.
func administrator(cluster *fixture.Cluster) (store.Config, error) {
	admin, err := url.Parse(cluster.Postgres.AdminURL)
	own, ownErr := url.Parse(cluster.DatabaseURL)
	if err := errors.Join(err, ownErr); err != nil {
		return store.Config{}, errors.New("the database's URL is not valid")
	}
	admin.Path = own.Path
	config := cluster.Database()
	config.URL = admin.String()
	return config, nil
}

func (t *trials) close() {
	for _, connection := range t.crowd {
		_ = connection.Close(context.Background())
	}
	t.rows.Close()
}

// run has one approach trigger a new build, sees what came of it, and clears up.
func (t *trials) run(ctx context.Context, approach string, tasks int) (Approach, error) {
	t.count++
	load := workload.New(fmt.Sprintf("evolution-%d", t.count), namespace, t.family, tasks)
	if approach != pool {
		// Who has no plan begins with the build's own rows.
		if _, err := t.rows.Plan(ctx, store.BuildPlan{Build: load.Build, Artifacts: load.Artifacts}); err != nil {
			return Approach{}, err
		}
	}
	measured, err := t.spawn(ctx, approach, load)
	if err != nil {
		return Approach{}, err
	}
	measured.Name, measured.Tasks = approach, tasks
	if measured.Succeeded, err = t.succeeded(ctx, load); err != nil {
		return Approach{}, err
	}
	return measured, t.cluster.DeleteWorkflows(ctx, namespace, nil)
}

// spawn measures a child process from the outside.
func (t *trials) spawn(ctx context.Context, approach string, load workload.Workload) (Approach, error) {
	kubeconfig, err := t.cluster.KubeconfigFor(env.Penstock)
	if err != nil {
		return Approach{}, err
	}
	refusals, err := watchRefusals(t.cluster.Postgres.Log())
	if err != nil {
		return Approach{}, err
	}
	connections, err := fixture.WatchConnections(ctx, t.cluster, application)
	if err != nil {
		return Approach{}, err
	}
	figures, err := spawn(ctx, job{Approach: approach, Kubeconfig: kubeconfig, DatabaseURL: t.cluster.DatabaseURL, Workload: load})
	peak, peakErr := connections.Stop()
	if err := errors.Join(err, peakErr); err != nil {
		return Approach{}, err
	}
	refused, err := refusals.count()
	return Approach{
		PeakGoroutines: figures.PeakGoroutines, PeakRSSBytes: figures.PeakRSSBytes, Seconds: figures.Seconds,
		API429: figures.API429, PeakDBConnections: peak, DBRefused: refused, lost: figures.Lost,
	}, err
}

// succeeded counts the triggers whose row says that there is a Workflow, and where
// there is.
func (t *trials) succeeded(ctx context.Context, load workload.Workload) (int, error) {
	names, err := t.cluster.WorkflowNames(ctx, namespace, load.Build.Name)
	if err != nil {
		return 0, err
	}
	const query = `
		SELECT count(*) FROM cd_workflow_runner r
		JOIN cd_workflow w ON w.id = r.cd_workflow_id
		JOIN task t ON t.id = r.task_id
		WHERE w.build_uid = $1 AND t.status = 'Submitted' AND t.workflow_name = ANY($2::text[])`
	count := 0
	if err := t.rows.Pool().QueryRow(ctx, query, load.Build.UID, names).Scan(&count); err != nil {
		return 0, fmt.Errorf("count successes: %w", err)
	}
	return count, nil
}
