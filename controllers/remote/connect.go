package remote

import (
	"context"
	"fmt"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// requestTimeout bounds one request, but for a watch, once its token is there.
const requestTimeout = 15 * time.Second

// scheme has the kinds of both clusters, so that their readers can be told apart.
var scheme = newScheme()

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(wfv1.AddToScheme(scheme))
	return scheme
}

// mapper knows the kinds that are used in other clusters. Discovery would cost each of them
// requests, and memory here.
var mapper = newMapper()

func newMapper() meta.RESTMapper {
	version := wfv1.SchemeGroupVersion
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{version})
	mapper.Add(version.WithKind("Workflow"), meta.RESTScopeNamespace)
	mapper.Add(version.WithKind("WorkflowList"), meta.RESTScopeNamespace) // as discovery would
	mapper.Add(version.WithKind(argo.KindTemplate), meta.RESTScopeNamespace)
	mapper.Add(version.WithKind(argo.KindClusterTemplate), meta.RESTScopeRoot)
	return mapper
}

// access is the ways to the API server of a cluster: triggers and all else share one token
// bucket, the watch is outside of it.
type access struct {
	bucket   *limit.Bucket
	triggers map[store.Lane]client.Client
	others   client.Client
	watch    cache.Cache
}

// connect makes the clients of a cluster, with the same way to reach it. Nothing is asked yet.
func connect(way *rest.Config, bucket *limit.Bucket, lanes []store.Lane, namespaces []string) (*access, error) {
	made := &access{bucket: bucket, triggers: map[store.Lane]client.Client{}}
	var err error
	for _, lane := range lanes {
		if made.triggers[lane], err = newClient(way, bucket, bucket.Trigger(lane.Name())); err != nil {
			return nil, err
		}
	}
	if made.others, err = newClient(way, bucket, bucket.Background()); err != nil {
		return nil, err
	}
	made.watch, err = newWatch(way, namespaces)
	return made, err
}

func newClient(way *rest.Config, bucket *limit.Bucket, limiter flowcontrol.RateLimiter) (client.Client, error) {
	config := rest.CopyConfig(way)
	config.RateLimiter, config.Timeout = limiter, requestTimeout
	config.Wrap(bucket.WrapTransport)
	plain, err := fleet.NoRedirects(config)
	if err != nil {
		return nil, err
	}
	made, err := argo.NewClient(config, client.Options{Scheme: scheme, Mapper: mapper, HTTPClient: plain})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return made, nil
}

// newWatch returns a cache of the metadata of our Workflows in some namespaces.
func newWatch(way *rest.Config, namespaces []string) (cache.Cache, error) {
	config := rest.CopyConfig(way)
	config.QPS = -1 // it makes few requests, and must not wait
	plain, err := fleet.NoRedirects(config)
	if err != nil {
		return nil, err
	}
	options := cache.Options{
		HTTPClient: plain, Scheme: scheme, Mapper: mapper, DefaultNamespaces: map[string]cache.Config{},
		ByObject: map[client.Object]cache.ByObject{argo.Workflow(): {
			Label:     labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
			Transform: argo.Trim,
		}},
	}
	for _, namespace := range namespaces {
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	made, err := cache.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("make a cache: %w", err)
	}
	return made, nil
}

// uidOf returns the UID of the cluster: that of its namespace kube-system, which lives as long
// as the cluster does. It is not limited: a lane that is shut asks it now and then.
func uidOf(ctx context.Context, reached *fleet.Client) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var namespace struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := reached.Read(ctx, "GET", "/api/v1/namespaces/kube-system", nil, maxNamespace, &namespace); err != nil {
		return "", err
	}
	if namespace.Metadata.UID == "" {
		return "", &fleet.Failure{Class: fleet.BadKubeconfig, Message: "the API server's answer has no UID of the namespace kube-system"}
	}
	return namespace.Metadata.UID, nil
}
