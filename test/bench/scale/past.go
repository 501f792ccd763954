package scale

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
)

const (
	// groupSize is how many pipelines a group has, and groupRoots how many of them are
	// children of its CiPipeline. The others hang below these: more than half of all.
	groupSize, groupRoots = 20, 7
	// burstCI has as many children as the burst has triggers, idleCI none, probeCI one.
	burstCI, idleCI, probeCI = "burst", "idle", "probe"
	// patience bounds each wait for the rows.
	patience = 10 * time.Minute
	look     = time.Second
)

// past is what has happened before the controller is measured: builds that triggered
// pipelines whose Workflows have ended. The product itself makes it, without limits.
type past struct {
	at      *stage.Stage
	cluster *fixture.Cluster
	// groups are CiPipelines with groupSize pipelines below each, builds those of all groups.
	groups, builds int
	// burst is how many children the CiPipeline of the burst has, idle how many builds
	// there are that have none.
	burst, idle int
	// runs is how many runs each pipeline of a group had long ago, of builds that are gone.
	runs int
}

// workflows is how many there are in the end.
func (p *past) workflows() int { return p.builds*groupSize + p.burst }

func (p *past) make(ctx context.Context) error {
	if err := p.cluster.Prepare(ctx, namespace); err != nil {
		return err
	}
	builds, err := p.create(ctx)
	if err != nil {
		return err
	}
	p.at.Say("%d pipelines and %d builds exist", p.groups*groupSize+p.burst, len(builds))
	rows, err := p.history(ctx)
	if err != nil {
		return err
	}
	p.at.Say("%d rows tell of builds that are gone", rows)
	controller, err := p.cluster.StartController(ctx, env.ControllerOptions{
		Env: []string{"KUBE_API_QPS=10000", "KUBE_API_BURST=10000", "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE=50"},
	})
	if err != nil {
		return err
	}
	if err := p.cluster.FinishAll(ctx, namespace, builds...); err != nil {
		return err
	}
	for _, workflows := range []int{p.builds*groupRoots + p.burst, p.builds * (groupSize - groupRoots)} {
		if err := p.awaitRows(ctx, workflows, `status = 'Submitted'`); err != nil {
			return err
		}
		p.at.Say("%d Workflows exist; they end now", workflows)
		if err := p.cluster.SucceedWorkflows(ctx, namespace); err != nil {
			return err
		}
	}
	if err := p.awaitRows(ctx, p.workflows(), `status = 'Succeeded' AND settled_at IS NOT NULL`); err != nil {
		return err
	}
	p.at.Say("every run has ended; waiting until the controller has written that")
	if err := p.cluster.AwaitSucceeded(ctx, namespace); err != nil {
		return err
	}
	if err := controller.Stop(); err != nil {
		return err
	}
	return p.probe(ctx)
}

// create makes pipelines and builds, and returns the builds' names.
func (p *past) create(ctx context.Context) ([]string, error) {
	byCI := map[string][]string{burstCI: {"burst-0"}}
	for i := range p.builds {
		ci := fmt.Sprintf("group-%03d", i%p.groups)
		byCI[ci] = append(byCI[ci], fmt.Sprintf("build-%d", i))
	}
	for i := range p.idle {
		byCI[idleCI] = append(byCI[idleCI], fmt.Sprintf("idle-%d", i))
	}
	var all []string
	for ci, builds := range byCI {
		children, roots := groupSize, groupRoots
		switch ci {
		case burstCI:
			children, roots = p.burst, p.burst
		case idleCI:
			children, roots = 0, 0
		}
		if _, err := p.cluster.Tree(ctx, namespace, ci, children, roots); err != nil {
			return nil, err
		}
		if err := p.cluster.Builds(ctx, namespace, ci, builds...); err != nil {
			return nil, err
		}
		all = append(all, builds...)
	}
	return all, nil
}

// probe has a build finish while no controller runs.
func (p *past) probe(ctx context.Context) error {
	if _, err := p.cluster.Family(ctx, namespace, probeCI, 1); err != nil {
		return err
	}
	if err := p.cluster.Builds(ctx, namespace, probeCI, probeCI); err != nil {
		return err
	}
	_, err := p.cluster.Finish(ctx, namespace, probeCI)
	return err
}

// awaitRows returns when so many tasks of builds that exist are as told.
func (p *past) awaitRows(ctx context.Context, tasks int, is string) error {
	connection, err := pgx.Connect(ctx, p.cluster.DatabaseURL)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = connection.Close(ctx) }()
	count := 0
	err = wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		err := connection.QueryRow(ctx, "SELECT count(*) FROM penstock.task WHERE created_at > now() - interval '1 day' AND "+is).Scan(&count)
		return count == tasks, err
	})
	if err != nil {
		return fmt.Errorf("%d of %d tasks have %s: %w", count, tasks, is, err)
	}
	return nil
}
