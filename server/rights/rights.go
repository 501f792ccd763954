// Package rights asks the API server what a user may do, with a SubjectAccessReview for
// each question, and keeps the answers for a few seconds.
package rights

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	clientv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Need is one right: a verb on a resource of the group penstock.dev. An empty Namespace
// means all namespaces, an empty Name all objects.
type Need struct {
	Verb, Resource, Subresource, Namespace, Name string
	// Core tells that the resource is one of Kubernetes' own core group instead.
	Core bool
}

// SettingsNeed is a right on the ConfigMap with the live limits.
func SettingsNeed(verb, namespace string) Need {
	return Need{Verb: verb, Resource: "configmaps", Namespace: namespace, Name: config.SettingsMap, Core: true}
}

// RefusedError means that a user lacks a right. Its text is for them.
type RefusedError struct {
	User identity.User
	Need Need
}

// Error tells which right is missing.
func (e *RefusedError) Error() string {
	where := "in all namespaces"
	if e.Need.Namespace != "" {
		where = "in namespace " + e.Need.Namespace
	}
	what := e.Need.Resource
	if !e.Need.Core {
		what += "." + v1alpha1.GroupVersion.Group
	}
	if e.Need.Subresource != "" {
		what += "/" + e.Need.Subresource
	}
	if e.Need.Name != "" {
		what += " of " + e.Need.Name
	}
	text := fmt.Sprintf("user %q may not %s %s %s: ask an administrator for that right", e.User.Name, e.Need.Verb, what, where)
	if role := e.Need.role(); role != "" {
		text += " (ClusterRole " + role + " has it)"
	}
	return text
}

// roles are the ClusterRoles that grant what is more than reading, by resource and verb.
var roles = map[string]map[string]string{
	"notifications":        {"create": "penstock-notifier", "update": "penstock-notifier"},
	"runrequests":          {"create": "penstock-triggerer"},
	"receivers/deliveries": {"get": "penstock-redeliverer", "update": "penstock-redeliverer"},
	"cdpipelines": {
		"trigger": "penstock-triggerer", "retry": "penstock-triggerer", "cancel": "penstock-triggerer", "rollback": "penstock-triggerer",
		"resume": "penstock-approver", "patch": "penstock-holder",
	},
	"cibuilds":       {"retry": "penstock-builder", "cancel": "penstock-builder"},
	"baseimages":     {"resume": "penstock-wave-operator", "cancel": "penstock-wave-operator"},
	"configmaps":     {"get": "penstock-settings-editor", "update": "penstock-settings-editor"},
	"targetclusters": {"resume": "penstock-cluster-operator", "cancel": "penstock-cluster-operator"},
}

// role is the ClusterRole that grants a right; empty where none of Penstock's does.
func (n Need) role() string {
	resource := n.Resource
	if n.Subresource != "" {
		resource += "/" + n.Subresource
	}
	switch role := roles[resource][n.Verb]; {
	case role != "":
		return role
	case n.Verb == "requestforothers":
		return ""
	case n.Resource == "targetclusters":
		return "penstock-cluster-reader"
	}
	return "penstock-reader"
}

// Config says whom to ask, and how long an answer counts. Every field is required.
type Config struct {
	Client clientv1.SubjectAccessReviewInterface
	// Size is how many answers are kept, TTL for how long.
	Size int
	TTL  time.Duration
	// Timeout bounds one review.
	Timeout time.Duration
	// AtOnce is how many reviews of one request are under way at once.
	AtOnce int
	// MaxNamespaces is how many namespaces Scope reviews one by one.
	MaxNamespaces int
}

// Reviewer answers what users may do. It is safe for concurrent use.
type Reviewer struct {
	config  Config
	answers *cache.LRUExpireCache
	flights singleflight.Group
}

// New returns a reviewer with nothing in its cache.
func New(config Config) *Reviewer {
	return &Reviewer{config: config, answers: cache.NewLRUExpireCache(config.Size)}
}

// Allowed tells whether a user may do something to a resource. An error means that the
// API server could not be asked.
func (r *Reviewer) Allowed(ctx context.Context, user identity.User, what authorizationv1.ResourceAttributes) (bool, error) {
	return r.review(ctx, user, authorizationv1.SubjectAccessReviewSpec{ResourceAttributes: &what})
}

// AllowedPath tells whether a user may get a path that is no resource, such as /metrics.
func (r *Reviewer) AllowedPath(ctx context.Context, user identity.User, path string) (bool, error) {
	return r.review(ctx, user, authorizationv1.SubjectAccessReviewSpec{
		NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "get", Path: path},
	})
}

// Require returns nil where the user has all these rights, and else a *RefusedError that
// names the first that is missing.
func (r *Reviewer) Require(ctx context.Context, user identity.User, needs ...Need) error {
	allowed, err := r.Among(ctx, user, needs...)
	if err != nil {
		return err
	}
	for i, need := range needs {
		if !allowed[i] {
			return &RefusedError{User: user, Need: need}
		}
	}
	return nil
}

// Among returns which of these rights a user has, in their order.
func (r *Reviewer) Among(ctx context.Context, user identity.User, needs ...Need) ([]bool, error) {
	allowed := make([]bool, len(needs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.config.AtOnce)
	for i, need := range needs {
		group.Go(func() (err error) {
			allowed[i], err = r.Allowed(ctx, user, attributes(need))
			return err
		})
	}
	return allowed, group.Wait()
}

// Scope returns in which namespaces a user has a right. Where the user asks for
// namespaces, they need it in each of them. Else it is all namespaces for those who have
// it in all, and for others those of the known ones in which they have it: each is reviewed.
// A *RefusedError means that there is none.
func (r *Reviewer) Scope(ctx context.Context, user identity.User, need Need, asked, known []string) (view.Scope, error) {
	if len(asked) > 0 {
		needs := make([]Need, len(asked))
		for i, namespace := range asked {
			needs[i] = need.in(namespace)
		}
		return view.Scope{Namespaces: asked}, r.Require(ctx, user, needs...)
	}
	everywhere, err := r.Allowed(ctx, user, attributes(need))
	if err != nil || everywhere {
		return view.Scope{All: everywhere}, err
	}
	if len(known) > r.config.MaxNamespaces {
		return view.Scope{}, &RefusedError{User: user, Need: need}
	}
	return r.among(ctx, user, need, known)
}

func (r *Reviewer) among(ctx context.Context, user identity.User, need Need, namespaces []string) (view.Scope, error) {
	needs := make([]Need, len(namespaces))
	for i, namespace := range namespaces {
		needs[i] = need.in(namespace)
	}
	allowed, err := r.Among(ctx, user, needs...)
	if err != nil {
		return view.Scope{}, err
	}
	scope := view.Scope{}
	for i, namespace := range namespaces {
		if allowed[i] {
			scope.Namespaces = append(scope.Namespaces, namespace)
		}
	}
	if len(scope.Namespaces) == 0 {
		return scope, &RefusedError{User: user, Need: need}
	}
	return scope, nil
}

func (n Need) in(namespace string) Need {
	n.Namespace = namespace
	return n
}

func attributes(need Need) authorizationv1.ResourceAttributes {
	group := v1alpha1.GroupVersion
	if need.Core {
		group = corev1.SchemeGroupVersion
	}
	return authorizationv1.ResourceAttributes{
		Group: group.Group, Version: group.Version,
		Verb: need.Verb, Resource: need.Resource, Subresource: need.Subresource, Namespace: need.Namespace, Name: need.Name,
	}
}

func (r *Reviewer) review(ctx context.Context, user identity.User, spec authorizationv1.SubjectAccessReviewSpec) (bool, error) {
	spec.User, spec.UID, spec.Groups = user.Name, user.UID, user.Groups
	if len(user.Extra) > 0 {
		spec.Extra = map[string]authorizationv1.ExtraValue{}
		for name, values := range user.Extra {
			spec.Extra[name] = values
		}
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode review: %w", err)
	}
	hash := sha256.Sum256(text)
	if known, ok := r.answers.Get(hash); ok {
		return known.(bool), nil
	}
	flight := r.flights.DoChan(string(hash[:]), func() (any, error) {
		// The flight is that of every caller who asks the same: it does not end with one.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Timeout)
		defer cancel()
		answered, err := r.config.Client.Create(ctx, &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("review rights: %w", err)
		}
		r.answers.Add(hash, answered.Status.Allowed, r.config.TTL)
		return answered.Status.Allowed, nil
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case result := <-flight:
		if result.Err != nil {
			return false, result.Err
		}
		return result.Val.(bool), nil
	}
}
