package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ask tells whether Penstock may do something in a namespace; an empty one is all of them.
type Ask func(ctx context.Context, right Right, namespace string) (bool, error)

// Reach is where Penstock needs its rights.
type Reach struct {
	// Namespaces are those that Penstock watches; empty means all.
	Namespaces []string
	// Own is Penstock's own namespace; without one rights in it are not asked for.
	Own string
	// LeaderElection tells whether there is a Lease.
	LeaderElection bool
}

// Attributes are the right in a namespace as the API server is asked for it.
func (r Right) Attributes(namespace string) *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(r.Resource, "/")
	return &authorizationv1.ResourceAttributes{
		Group: r.Group, Resource: resource, Subresource: subresource, Verb: r.Verb, Name: r.Name, Namespace: namespace,
	}
}

// Needs tells whether a right is needed at all.
func (r Reach) Needs(right Right) bool {
	return !right.Own || r.Own != "" && (right.Resource != "leases" || r.LeaderElection)
}

// Denied returns a sentence about a right that Penstock lacks, or nothing. An error is of
// the question.
func (r Reach) Denied(ctx context.Context, right Right, ask Ask) (string, error) {
	namespaces := []string{metav1.NamespaceAll}
	if right.Own {
		namespaces = []string{r.Own}
	}
	allowed, err := everywhere(ctx, right, namespaces, ask)
	if err != nil || allowed {
		return "", err
	}
	where := "in all namespaces"
	if right.Own {
		where = "in namespace " + r.Own
	}
	if len(r.Namespaces) > 0 && !right.Own && !slices.Contains(clusterScoped, right.Resource) {
		if allowed, err = everywhere(ctx, right, r.Namespaces, ask); err != nil || allowed {
			return "", err
		}
		where = "in namespaces " + strings.Join(r.Namespaces, ", ")
	}
	return fmt.Sprintf("Penstock's service account may not %s %s: grant it, as config/rbac does", right, where), nil
}

func everywhere(ctx context.Context, right Right, namespaces []string, ask Ask) (bool, error) {
	for _, namespace := range namespaces {
		allowed, err := ask(ctx, right, namespace)
		if err != nil || !allowed {
			return false, err
		}
	}
	return true, nil
}
