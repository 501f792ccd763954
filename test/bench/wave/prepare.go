package wave

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/witness"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/registry"
)

const (
	base = "java"
	// person is the CiPipeline that people build meanwhile, and other the one whose builds are
	// deployed.
	person, other = "person", "other"
	// look is how often is looked whether something has happened; patience bounds that.
	look, patience = 100 * time.Millisecond, 15 * time.Minute
)

// subject is the controller that is measured, and what it works on.
type subject struct {
	*fixture.Cluster
	rows       *pgx.Conn
	images     *registry.Server
	seen       *witness.Witness
	dependents int
	probes     int // so far
}

// prepare starts the controller over pipelines that are built on an image whose digest is known.
func prepare(ctx context.Context, parts *env.Environment, dependents int) (*subject, error) {
	cluster, err := fixture.New(parts)
	if err != nil {
		return nil, err
	}
	if err := cluster.Prepare(ctx, namespace); err != nil {
		return nil, err
	}
	s := &subject{Cluster: cluster, images: registry.Listen(), dependents: dependents}
	if err := s.begin(ctx); err != nil {
		s.close(ctx)
		return nil, err
	}
	return s, nil
}

func (s *subject) begin(ctx context.Context) (err error) {
	if s.rows, err = s.Connect(ctx); err != nil {
		return err
	}
	if s.seen, err = witness.Watch(ctx, s.Client, namespace); err != nil {
		return err
	}
	first, err := s.images.Store(image, 1)
	if err != nil {
		return fmt.Errorf("push the first image: %w", err)
	}
	_, familyErr := s.Family(ctx, namespace, other, 1)
	if err := errors.Join(familyErr, s.Create(ctx, s.objects()...)); err != nil {
		return err
	}
	if _, err := s.StartController(ctx, env.ControllerOptions{Env: []string{"OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32"}}); err != nil {
		return err
	}
	return s.awaitDigest(ctx, first)
}

// close ends what it has started. The environment ends the controller.
func (s *subject) close(ctx context.Context) {
	if s.seen != nil {
		s.seen.Stop()
	}
	if s.rows != nil {
		_ = s.rows.Close(context.WithoutCancel(ctx))
	}
	s.images.Close()
}

// objects are the image, its dependents, and the pipeline that people build.
func (s *subject) objects() []client.Object {
	none := wfv1.AnyString("none")
	template := func(name string, takes time.Duration) client.Object {
		return given.Declares(given.BuildTemplate(name, "registry.example.org/app", takes), wfv1.Parameter{Name: "build"}, wfv1.Parameter{Name: "baseImages", Value: &none})
	}
	objects := []client.Object{
		template("usual", usual), template("long", long),
		given.BaseImage(base, s.images.Host+"/"+image, given.Settled(0)),
		given.CiPipeline(person, given.Builds("usual"), given.BuildPolicy(v1alpha1.ConcurrencyAllow)),
	}
	slow := stragglersOf(s.dependents)
	for i := range s.dependents {
		name := "usual"
		if slow[i] {
			name = "long"
		}
		objects = append(objects, given.CiPipeline(fmt.Sprintf("app-%03d", i), given.Builds(name), given.BuiltOn(base)))
	}
	for _, object := range objects {
		object.SetNamespace(namespace)
	}
	return objects
}

// stragglersOf are a twentieth of n, anywhere among them, and always the same.
func stragglersOf(n int) map[int]bool {
	slow := map[int]bool{}
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for _, i := range random.Perm(n)[:n/stragglers] {
		slow[i] = true
	}
	return slow
}

// awaitDigest has the registry asked now, as its webhook would, until the digest is known.
func (s *subject) awaitDigest(ctx context.Context, digest string) error {
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		if _, err := s.rows.Exec(ctx, `UPDATE base_image SET check_wanted_at = now() WHERE name = $1 AND digest <> $2 AND check_wanted_at IS NULL`, base, digest); err != nil {
			return false, err
		}
		var known bool
		err := s.rows.QueryRow(ctx, `SELECT EXISTS (SELECT FROM base_image WHERE name = $1 AND digest = $2)`, base, digest).Scan(&known)
		return known, err
	})
	if err != nil {
		return fmt.Errorf("wait until the digest is known: %w", err)
	}
	return nil
}
