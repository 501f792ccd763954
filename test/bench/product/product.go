// Package product observes Pending rows and creates their Workflows: it is dispatch
// in this process, wired as package controllers wires it, without the other loops.
package product

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/bench/workload"
)

// Options says what a Product works on.
type Options struct {
	// Cluster is the API server, and as whom to speak to it.
	Cluster *rest.Config
	// DatabaseURL is a database whose tables are there.
	DatabaseURL string
	// ApplicationName is what the database knows the connections by.
	ApplicationName string
	// Wrap changes the way of triggers to the API server. Optional.
	Wrap transport.WrapperFunc
}

// Product holds what dispatch needs. Close ends it.
type Product struct {
	// Store is the tables.
	Store *store.Store
	// Submitter creates Workflows.
	Submitter *argo.Submitter

	settings config.Config
	bucket   *limit.Bucket
	cancel   context.CancelFunc
	cache    sync.WaitGroup
}

// syncTimeout bounds filling the cache.
const syncTimeout = 2 * time.Minute

// Open connects and returns when the cache is full. There is no limit on API
// requests; everything else is as it comes.
func Open(ctx context.Context, o Options) (*Product, error) {
	settings, _, err := config.Load(map[string]string{"DATABASE_URL": o.DatabaseURL})
	if err != nil {
		return nil, fmt.Errorf("load defaults: %w", err)
	}
	rows, err := store.Open(ctx, store.Config{
		URL: o.DatabaseURL, Schema: settings.DatabaseSchema,
		MaxConns: int32(settings.DatabaseMaxConns), ApplicationName: o.ApplicationName,
	})
	if err != nil {
		return nil, err
	}
	p := &Product{Store: rows, settings: settings, bucket: limit.NewBucket(0, 0), cancel: func() {}}
	if err := p.connect(ctx, o); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// lane is where the product's triggers wait for tokens.
const lane = "cd"

// connect makes the Submitter.
func (p *Product) connect(ctx context.Context, o Options) error {
	scheme, err := fixture.Scheme()
	if err != nil {
		return err
	}
	triggers := rest.CopyConfig(o.Cluster)
	triggers.Wrap(o.Wrap)
	triggers.Wrap(p.bucket.WrapTransport)
	triggers.RateLimiter = p.bucket.Trigger(lane)
	live, err := argo.NewClient(triggers, client.Options{Scheme: scheme})
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	watched, err := cache.New(o.Cluster, cache.Options{
		Scheme: scheme, DefaultTransform: cache.TransformStripManagedFields(),
	})
	if err != nil {
		return fmt.Errorf("create cache: %w", err)
	}
	p.Submitter = &argo.Submitter{Builders: argo.Builders{store.KindCd: argo.Stages{}}, Cache: watched, Live: live}
	return p.fill(ctx, watched)
}

// fill starts the cache and waits until it knows the pipelines and templates.
func (p *Product) fill(ctx context.Context, watched cache.Cache) error {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	ended := make(chan error, 1)
	p.cache.Go(func() { ended <- watched.Start(life) })
	ctx, stop := context.WithTimeout(ctx, syncTimeout)
	defer stop()
	for _, object := range []client.Object{
		&v1alpha1.CdPipeline{}, argo.Template("WorkflowTemplate"), argo.Template("ClusterWorkflowTemplate"),
	} {
		if _, err := watched.GetInformer(ctx, object); err != nil {
			return fmt.Errorf("fill cache with %T: %w", object, err)
		}
	}
	select {
	case err := <-ended:
		return errors.Join(errors.New("the cache has ended"), err)
	default:
		return nil
	}
}

// Close disconnects.
func (p *Product) Close() {
	p.cancel()
	p.cache.Wait()
	p.Store.Close()
}

// Plan commits a workload.
func (p *Product) Plan(ctx context.Context, load workload.Workload) error {
	plan, err := load.Plan()
	if err != nil {
		return err
	}
	planned, err := p.Store.Plan(ctx, plan)
	if err == nil && !planned {
		err = fmt.Errorf("build %s was planned before", load.Build.Name)
	}
	return err
}
