package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers"
	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/controllers/lookup"
	limits "github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

var scheme = newScheme()

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(wfv1.AddToScheme(scheme))
	return scheme
}

// clients are the ways to the API server: triggers and all else share one token
// bucket; watches and the leader's lease are outside of it, so that a full bucket
// never costs leadership.
type clients struct {
	triggers                 map[store.Lane]*rest.Config
	background, watch, lease *rest.Config
	// home probes the cluster itself as any other.
	home *rest.Config
}

// requestTimeout bounds one request, but for a watch, once its token is there: an answer
// that is lost must not hold up what waits for it.
const requestTimeout = 15 * time.Second

func newClients(cluster *rest.Config, bucket *limit.Bucket, answers *limit.Samples) clients {
	cluster = rest.CopyConfig(cluster)
	cluster.UserAgent = "penstock/" + version
	home := rest.CopyConfig(cluster)
	cluster.Wrap(gauge.WrapTransport)
	limited := func() *rest.Config {
		limited := rest.CopyConfig(cluster)
		limited.Wrap(bucket.WrapTransport)
		limited.Timeout = requestTimeout
		return limited
	}
	all := clients{
		triggers:   map[store.Lane]*rest.Config{controllers.LaneCd: limited(), controllers.LaneCi: limited()},
		background: limited(), watch: rest.CopyConfig(cluster), lease: rest.CopyConfig(cluster), home: home,
	}
	for lane, trigger := range all.triggers {
		trigger.RateLimiter = bucket.Trigger(lane.Name())
	}
	all.triggers[controllers.LaneCd].Wrap(answers.WrapTransport)
	all.background.RateLimiter = bucket.Background()
	all.watch.QPS = -1 // the cache makes few requests, and must not wait
	return all
}

// newCache builds the cache on the client for watches.
func (c clients) newCache(options cache.Options) (cache.Cache, error) {
	options.HTTPClient = nil // the manager's ends a request after a while
	return cache.New(c.watch, options)
}

// cacheOptions: of Workflows only ours, and only what tracking reads; of templates only
// their parameters; of ConfigMaps only the settings; of Secrets only that those beside
// Penstock exist; of all others what the controllers look up.
func cacheOptions(settings config.Config) cache.Options {
	options := cache.Options{
		DefaultTransform: lookup.Trim,
		ByObject: map[client.Object]cache.ByObject{
			argo.Workflow(): {
				Label:     labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
				Transform: argo.Trim,
			},
			argo.Template("WorkflowTemplate"):        {Transform: argo.TrimTemplate},
			argo.Template("ClusterWorkflowTemplate"): {Transform: argo.TrimTemplate},
			&corev1.Secret{}:                         {Namespaces: map[string]cache.Config{podNamespace(settings): {}}, Transform: fleet.TrimSecret},
			&corev1.ConfigMap{}: {
				Namespaces: map[string]cache.Config{podNamespace(settings): {}},
				Field:      fields.OneTermEqualSelector("metadata.name", limits.ConfigMap),
			},
		},
	}
	if len(settings.WatchNamespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range settings.WatchNamespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

// requiredKinds are the kinds without which nothing works, and what installs them. That
// others are missing is said by readiness.
var requiredKinds = []struct {
	kind    schema.GroupVersionKind
	install string
}{
	{v1alpha1.GroupVersion.WithKind("CiPipeline"), "Penstock's CRDs: kubectl apply -k config/crd"},
	{v1alpha1.GroupVersion.WithKind("CiBuild"), "Penstock's CRDs: kubectl apply -k config/crd"},
	{v1alpha1.GroupVersion.WithKind("CdPipeline"), "Penstock's CRDs: kubectl apply -k config/crd"},
	{wfv1.SchemeGroupVersion.WithKind("Workflow"), "Argo Workflows"},
}

const (
	// kindsTimeout is how long a start waits for CRDs that are being installed.
	kindsTimeout = 30 * time.Second
	kindsRetry   = 2 * time.Second
)

// requireKinds returns an error that names every kind that the cluster lacks, and
// what to install, when they have not come within kindsTimeout.
func requireKinds(ctx context.Context, cluster *rest.Config, log logr.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, kindsTimeout)
	defer cancel()
	for {
		err := missingKinds(cluster)
		if err == nil {
			return nil
		}
		log.Info("waiting for the cluster", "problem", err.Error())
		select {
		case <-ctx.Done():
			return err
		case <-time.After(kindsRetry):
		}
	}
}

func missingKinds(cluster *rest.Config) error {
	cluster = rest.CopyConfig(cluster)
	cluster.Timeout = requestTimeout
	http, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(cluster, http)
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	var missing []string
	for _, required := range requiredKinds {
		_, err := mapper.RESTMapping(required.kind.GroupKind(), required.kind.Version)
		if meta.IsNoMatchError(err) {
			missing = append(missing, fmt.Sprintf("kind %s of %s is not installed (install %s)",
				required.kind.Kind, required.kind.GroupVersion(), required.install))
			continue
		}
		if err != nil {
			return fmt.Errorf("ask the cluster for its kinds: %w", err)
		}
	}
	if len(missing) > 0 {
		return errors.New(strings.Join(missing, "; "))
	}
	return nil
}
