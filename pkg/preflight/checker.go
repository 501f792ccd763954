package preflight

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/pkg/loop"
)

const (
	// interval is the pause between two looks, and retry that while something is missing
	// or the API server does not answer.
	interval, retry = 45 * time.Second, 10 * time.Second
	// requestTimeout bounds one question.
	requestTimeout = 10 * time.Second
)

// Config is what a Checker needs.
type Config struct {
	// Client asks the API server, in the background class of its token bucket.
	Client kubernetes.Interface
	// Namespaces are those that Penstock watches; empty means all.
	Namespaces []string
	// Own is Penstock's own namespace; without one rights in it are not asked for.
	Own string
	// LeaderElection tells whether there is a Lease.
	LeaderElection bool
	// NamespacedOnly tells that kinds without a namespace are not read, so that neither they
	// nor rights on them are looked for.
	NamespacedOnly bool
	Log            logr.Logger
}

// Checker looks at start, and then again and again, which kinds and rights are missing.
// Its methods are safe for concurrent use.
type Checker struct {
	*loop.Loop
	Config
	found atomic.Pointer[findings]
}

// findings is what one look has found.
type findings struct {
	// sentences name everything that is missing, for people.
	sentences []string
	// unreadable says for each resource that can't be watched why.
	unreadable map[schema.GroupResource]string
}

// New returns a checker that looks at nothing until it is started.
func New(config Config) *Checker {
	c := &Checker{Config: config}
	c.Loop = loop.New(loop.Config{
		Name: "preflight", Run: c.runOnce, Interval: interval, Retry: retry, EveryReplica: true, Log: config.Log,
	})
	return c
}

// Ready returns an error with a sentence for each kind and right that is missing.
func (c *Checker) Ready() error {
	found := c.found.Load()
	switch {
	case found == nil:
		return errors.New("the API server has not been asked yet for its kinds and our rights")
	case len(found.sentences) > 0:
		return errors.New(strings.Join(found.sentences, "; "))
	default:
		return nil
	}
}

// Unreadable returns why objects of a resource can't be watched, or nil where they can, as
// far as that is known.
func (c *Checker) Unreadable(resource schema.GroupResource) error {
	if c.isIgnored(resource.Resource) {
		return fmt.Errorf("%s are not read where CLUSTER_SCOPED_KINDS is false", resource)
	}
	found := c.found.Load()
	if found == nil {
		return nil
	}
	if why := found.unreadable[resource]; why != "" {
		return errors.New(why)
	}
	return nil
}

func (c *Checker) runOnce(ctx context.Context) (time.Duration, error) {
	found := &findings{unreadable: map[schema.GroupResource]string{}}
	if err := c.findKinds(ctx, found); err != nil {
		return 0, err
	}
	if err := c.findRights(ctx, found); err != nil {
		return 0, err
	}
	before := c.found.Swap(found)
	if before == nil || !slices.Equal(before.sentences, found.sentences) {
		for _, sentence := range found.sentences {
			c.Log.Info("the cluster lacks something that Penstock needs", "problem", sentence)
		}
	}
	if len(found.sentences) > 0 {
		return retry, nil
	}
	return 0, nil
}

// findKinds asks for what the API server serves, not for what a mapper remembers.
func (c *Checker) findKinds(ctx context.Context, found *findings) error {
	served := map[schema.GroupVersionResource]bool{}
	groups := map[schema.GroupVersion]bool{}
	for _, kind := range Kinds() {
		groups[schema.GroupVersion{Group: kind.Group, Version: kind.Version}] = true
	}
	for group := range maps.Keys(groups) {
		list, err := c.Client.Discovery().ServerResourcesForGroupVersion(group.String())
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("ask the API server for the kinds of %s: %w", group, err)
		}
		for _, resource := range resourcesOf(list) {
			served[group.WithResource(resource.Name)] = true
		}
	}
	for _, kind := range Kinds() {
		if c.isIgnored(kind.Resource) {
			continue
		}
		if !served[schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: kind.Resource}] {
			found.sentences = append(found.sentences, kind.Missing())
			found.unreadable[schema.GroupResource{Group: kind.Group, Resource: kind.Resource}] = kind.Missing()
		}
	}
	return ctx.Err()
}

func resourcesOf(list *metav1.APIResourceList) []metav1.APIResource {
	if list == nil {
		return nil
	}
	return list.APIResources
}

func (c *Checker) findRights(ctx context.Context, found *findings) error {
	reach := Reach{Namespaces: c.Namespaces, Own: c.Own, LeaderElection: c.LeaderElection}
	for _, right := range Rights() {
		if c.isIgnored(right.Resource) || !reach.Needs(right) {
			continue
		}
		denied, err := reach.Denied(ctx, right, c.isAllowed)
		if err != nil {
			return fmt.Errorf("ask whether Penstock may %s: %w", right, err)
		}
		if denied == "" {
			continue
		}
		found.sentences = append(found.sentences, denied)
		if (right.Verb == "list" || right.Verb == "watch") && !right.Own {
			found.unreadable[schema.GroupResource{Group: right.Group, Resource: right.Resource}] = denied
		}
	}
	return nil
}

// isIgnored tells whether a resource has no namespace, where those are not read.
func (c *Checker) isIgnored(resource string) bool {
	return c.NamespacedOnly && slices.Contains(clusterScoped, resource)
}

func (c *Checker) isAllowed(ctx context.Context, right Right, namespace string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	question := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: right.Attributes(namespace)}}
	answer, err := c.Client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return answer.Status.Allowed, nil
}
