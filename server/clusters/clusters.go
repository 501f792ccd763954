// Package clusters knows the TargetClusters for `penstock server`, and reads their
// resources. It observes TargetClusters and their Secrets, and writes nothing.
package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/batchget"
	"github.com/penstock-cd/penstock/pkg/fleet/resources"
)

// +kubebuilder:rbac:groups=penstock.dev,resources=targetclusters,verbs=get;list;watch
// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=secrets,verbs=get;list;watch

// ErrNotReady is the error while TargetClusters are not known yet.
var ErrNotReady = errors.New("the TargetClusters are not read yet")

// Config is what Clusters need. Every field is required.
type Config struct {
	// Home is the cluster that has the TargetClusters, without a timeout: it is watched.
	Home *rest.Config
	// Namespace is where their Secrets are: that of Penstock itself.
	Namespace string
	// Kinds are those that may be shown.
	Kinds fleet.AllowList
	// BatchSize is how many objects are read from one cluster at once.
	BatchSize int
	// Retry is how long to wait before TargetClusters are looked for again, where they can't
	// be read or the kind is not installed.
	Retry time.Duration
	Log   logr.Logger
}

// Clusters are the TargetClusters that exist, and what reads them. They are safe for
// concurrent use.
type Clusters struct {
	// Kinds are those that may be shown.
	Kinds fleet.AllowList
	// Resources lists kinds of many clusters.
	Resources *resources.Lister
	// Objects gets objects by reference.
	Objects *batchget.Getter

	config Config
	state  atomic.Pointer[state]
}

// state is what is known.
type state struct {
	members *fleet.Members // nil where there are none
	err     error          // why they are not known; nil with nil members: the kind is not installed
}

// New returns clusters that are not known before Start.
func New(config Config) *Clusters {
	c := &Clusters{Kinds: config.Kinds, config: config}
	c.state.Store(&state{err: ErrNotReady})
	c.Resources = resources.New(resources.Config{Clients: c})
	c.Objects = batchget.New(batchget.Config{Clients: c, InFlight: config.BatchSize})
	return c
}

// Start follows the TargetClusters in the background. stop ends that, and everything that
// is read, and returns when nothing is left.
func (c *Clusters) Start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait.UntilWithContext(ctx, c.attempt, c.config.Retry)
	}()
	return func() {
		c.Resources.Close()
		c.Objects.Close()
		cancel()
		<-ended
	}
}

// All returns the TargetClusters that a selector selects, by name. They must not be
// changed. There are none where the kind is not installed. The error is ErrNotReady, or
// that of the cache.
func (c *Clusters) All(ctx context.Context, selector labels.Selector) ([]v1alpha1.TargetCluster, error) {
	known := c.state.Load()
	if known.members == nil {
		return nil, known.err
	}
	return known.members.All(ctx, selector)
}

// Client implements fleet.Clients.
func (c *Clusters) Client(ctx context.Context, name string) (*fleet.Client, error) {
	known := c.state.Load()
	switch {
	case known.err != nil:
		return nil, known.err
	case known.members == nil:
		return nil, fmt.Errorf("TargetCluster %s: %w", name, fleet.ErrNoMember)
	}
	return known.members.Client(ctx, name)
}

// attempt follows TargetClusters until ctx ends, or returns because that is not possible
// now.
func (c *Clusters) attempt(ctx context.Context) {
	err := c.follow(ctx)
	switch {
	case ctx.Err() != nil:
	case meta.IsNoMatchError(err):
		c.state.Store(&state{}) // there are no clusters; the kind may be installed later
	default:
		c.config.Log.Error(err, "target clusters not read, trying again")
	}
}

func (c *Clusters) follow(ctx context.Context) error {
	connected, err := c.connect()
	if err != nil {
		return err
	}
	defer connected.close()
	kind := v1alpha1.GroupVersion.WithKind("TargetCluster")
	if _, err := connected.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
		return fmt.Errorf("find TargetClusters: %w", err)
	}
	members := fleet.NewMembers(fleet.MembersConfig{
		Namespace: c.config.Namespace, Cache: connected.cache, Live: connected.live, Home: c.config.Home, UserAgent: c.config.Home.UserAgent,
	})
	if err := members.Watch(ctx, connected.cache); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := connected.cache.Start(ctx); err != nil {
			c.config.Log.Error(err, "target clusters not watched any more")
		}
	}()
	defer func() {
		cancel()
		<-ended
	}()
	if !connected.cache.WaitForCacheSync(ctx) {
		return ErrNotReady
	}
	stop, err := members.Listen(ctx)
	defer stop()
	if err != nil {
		return err
	}
	c.state.Store(&state{members: members})
	<-ctx.Done()
	c.state.Store(&state{err: ErrNotReady})
	return nil
}

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}

// requestTimeout bounds each request but for a watch, so that an API server that takes
// requests and never answers holds nothing up.
const requestTimeout = 5 * time.Second

// connection is the ways to the cluster that has the TargetClusters.
type connection struct {
	watches, requests *http.Client
	mapper            meta.RESTMapper
	cache             cache.Cache
	live              client.Client
}

func (c connection) close() {
	c.watches.CloseIdleConnections()
	c.requests.CloseIdleConnections()
}

func (c *Clusters) connect() (made connection, err error) {
	if made.watches, err = rest.HTTPClientFor(c.config.Home); err != nil {
		return made, fmt.Errorf("reach the cluster: %w", err)
	}
	bounded := rest.CopyConfig(c.config.Home)
	bounded.Timeout = requestTimeout
	if made.requests, err = rest.HTTPClientFor(bounded); err != nil {
		return made, fmt.Errorf("reach the cluster: %w", err)
	}
	if made.mapper, err = apiutil.NewDynamicRESTMapper(bounded, made.requests); err != nil {
		return made, fmt.Errorf("find the kinds of the cluster: %w", err)
	}
	made.cache, err = cache.New(c.config.Home, cache.Options{
		HTTPClient: made.watches, Mapper: made.mapper, Scheme: scheme, DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{c.config.Namespace: {}}, Transform: fleet.TrimSecret},
		},
	})
	if err != nil {
		return made, fmt.Errorf("watch the cluster: %w", err)
	}
	made.live, err = client.New(bounded, client.Options{HTTPClient: made.requests, Mapper: made.mapper, Scheme: scheme})
	if err != nil {
		return made, fmt.Errorf("read the cluster: %w", err)
	}
	return made, nil
}
