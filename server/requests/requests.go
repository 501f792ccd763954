// Package requests creates RunRequests at the API server, with the caller's own token or, for
// callers without one that the API server knows, under the server's account. It holds CdPipelines
// and changes live settings with the caller's own token alone.
package requests

import (
	"context"
	"fmt"
	"reflect"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// What the server's account needs to create requests for callers without a token stands in
// config/requests, since an administrator decides whether it may.

const resource = "runrequests"

// Config says where the requests go. Every field is required.
type Config struct {
	// Cluster is the API server, with the server's account.
	Cluster *rest.Config
	// Rate and Burst bound the requests of all callers together, per second and at once.
	Rate  float32
	Burst int
	// Timeout bounds one request.
	Timeout time.Duration
}

// Writer creates RunRequests. It is safe for concurrent use.
type Writer struct {
	cluster *rest.Config
	timeout time.Duration
}

// Caller is whose rights the API server looks at. Without a token it is the server's account.
type Caller struct {
	Token string
	// Impersonate is who the holder of the token wants to act as.
	Impersonate rest.ImpersonationConfig
}

// New returns a writer.
func New(config Config) (*Writer, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("know RunRequests: %w", err)
	}
	metav1.AddToGroupVersion(scheme, v1alpha1.GroupVersion)
	cluster := rest.CopyConfig(config.Cluster)
	cluster.APIPath, cluster.GroupVersion = "/apis", &v1alpha1.GroupVersion
	cluster.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	cluster.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.Rate, config.Burst)
	return &Writer{cluster: cluster, timeout: config.Timeout}, nil
}

// ErrOther means that a RunRequest of that name exists, and asks for something else.
var ErrOther = apierrors.NewAlreadyExists(v1alpha1.GroupVersion.WithResource(resource).GroupResource(), "")

// Create creates a request as the caller. Where one of that name exists with an equal spec, it
// returns that, and ErrOther where the spec is another. Other errors are the API server's.
func (w *Writer) Create(ctx context.Context, as Caller, request *v1alpha1.RunRequest) (*v1alpha1.RunRequest, error) {
	posting, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	client, err := w.client(as)
	if err != nil {
		return nil, err
	}
	made := &v1alpha1.RunRequest{}
	err = client.Post().Namespace(request.Namespace).Resource(resource).Body(request).Do(posting).Into(made)
	if !apierrors.IsAlreadyExists(err) || request.Name == "" {
		return made, err
	}
	if made, err = w.Get(ctx, as, request.Namespace, request.Name); err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(made.Spec, request.Spec) {
		return nil, ErrOther
	}
	return made, nil
}

// Get returns a request, with what became of it, as the caller. Its errors are the API server's.
func (w *Writer) Get(ctx context.Context, as Caller, namespace, name string) (*v1alpha1.RunRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	client, err := w.client(as)
	if err != nil {
		return nil, err
	}
	found := &v1alpha1.RunRequest{}
	return found, client.Get().Namespace(namespace).Resource(resource).Name(name).Do(ctx).Into(found)
}

func (w *Writer) client(as Caller) (*rest.RESTClient, error) {
	client, err := rest.RESTClientFor(w.configOf(as))
	if err != nil {
		return nil, fmt.Errorf("create client for the caller: %w", err)
	}
	return client, nil
}

func (w *Writer) configOf(as Caller) *rest.Config {
	if as.Token == "" {
		return rest.CopyConfig(w.cluster)
	}
	theirs := rest.AnonymousClientConfig(w.cluster)
	theirs.BearerToken, theirs.Impersonate, theirs.RateLimiter = as.Token, as.Impersonate, w.cluster.RateLimiter
	return theirs
}
