package dashboard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/callers"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/stage"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const (
	// pagesPerUser is how many pages one user has open.
	pagesPerUser = 10
	// pastBuilds is how many builds each application had before.
	pastBuilds = 10
	// past is since when these have ended.
	past = 24 * time.Hour
	// readerRole is what users have.
	readerRole = "penstock-reader"
)

// subject is the controller and the server that are measured.
type subject struct {
	*fixture.Limited
	server *env.Server
	pages  *child
}

// prepare starts both over applications that have builds behind them. Each has a CiPipeline, a
// CdPipeline for dev, which the measured builds trigger, and one for prod below it.
func prepare(ctx context.Context, at *stage.Stage, parts *env.Environment) (*subject, error) {
	count := at.Size(1000, 60)
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(cluster.Prepare(ctx, namespace), cluster.InstallServer(ctx)); err != nil {
		return nil, err
	}
	all, err := applications(ctx, cluster, count)
	if err != nil {
		return nil, err
	}
	s := &subject{}
	if s.Limited, err = fixture.StartLimitedOver(ctx, cluster, namespace, all[:count]); err != nil {
		return nil, err
	}
	if err := s.begin(ctx, at, all); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// begin has the controller know the applications and their past, and starts the server and the
// process of the pages.
func (s *subject) begin(ctx context.Context, at *stage.Stage, all given.Family) (err error) {
	if err := s.Set(ctx, fixture.QPSBetween, nil); err != nil {
		return err
	}
	at.Say("waiting until the controller has written that %d pipelines are ready", len(all))
	if err := s.AwaitReady(ctx, namespace); err != nil {
		return err
	}
	cis := make([]string, len(all))
	for i := range all {
		cis[i] = all[i].Spec.Application
	}
	history := fixture.History{Name: "past", Namespace: namespace, Builds: pastBuilds, Age: past, Gone: past}
	if err := history.Insert(ctx, s.Rows, all, cis); err != nil {
		return err
	}
	if s.server, err = s.StartServer(ctx, env.ServerOptions{}); err != nil {
		return err
	}
	users, err := callers.New(ctx, s.Environment, s.server, readerRole, (len(s.Family)+pagesPerUser-1)/pagesPerUser)
	if err != nil {
		return err
	}
	users.Close()
	s.pages, err = spawn(ctx, setup{URL: s.server.URL, CA: s.server.CA, Tokens: users.Tokens(), Pages: addresses(s.Family)})
	return err
}

// close ends what was started, but for the controller and the server, which the environment ends.
func (s *subject) close(ctx context.Context) (err error) {
	if s.pages != nil {
		err = s.pages.stop()
	}
	s.Close(ctx)
	return err
}

// applications creates them, and returns the pipelines for dev before those for prod. The name of
// an application is that of its CiPipeline.
func applications(ctx context.Context, cluster *fixture.Cluster, count int) (given.Family, error) {
	objects := make([]client.Object, count)
	for i := range objects {
		objects[i] = given.CiPipeline(application(i), func(p *v1alpha1.CiPipeline) { p.Namespace, p.Spec.Application = namespace, application(i) })
	}
	if err := cluster.Create(ctx, objects...); err != nil {
		return nil, err
	}
	next := 0
	return cluster.Tree(ctx, namespace, given.CI, 2*count, count, func(p *v1alpha1.CdPipeline) {
		p.Spec.Application, p.Spec.Environment = application(next%count), "dev"
		if next >= count {
			p.Spec.Environment = "prod"
		}
		next++
	})
}

func application(i int) string { return fmt.Sprintf("app-%03d", i) }

// addresses are the pages of the pipelines' applications.
func addresses(family given.Family) []address {
	all := make([]address, len(family))
	for i := range family {
		all[i] = address{Application: family[i].Spec.Application, Pipeline: family[i].Name, User: i / pagesPerUser}
	}
	return all
}
