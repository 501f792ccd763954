package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	// ProbeTimeout bounds one probe.
	ProbeTimeout = 5 * time.Second
	// reviewers is how many access reviews are in flight at once in one probe.
	reviewers = 4
	// maxAnswer is the most bytes of an answer to a probe that are read.
	maxAnswer = 64 << 10
)

// Probe asks a cluster how it does, within ProbeTimeout. With kinds it also asks for the
// version, and which of the kinds may be listed. A cluster that did not answer in time gets
// new connections.
func Probe(ctx context.Context, client *Client, kinds []Kind) Observation {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, ProbeTimeout, &bounded.TimeoutError{After: ProbeTimeout})
	defer cancel()
	seen := Observation{Began: began}
	err := client.Read(ctx, http.MethodGet, "/livez", nil, maxAnswer, nil)
	seen.Latency = time.Since(began)
	if err == nil && len(kinds) > 0 {
		err = details(ctx, client, kinds, &seen)
	}
	seen.Ended = time.Now()
	if err != nil {
		seen.Failure = Classify(client.host, err)
	}
	if seen.Failure != nil && seen.Failure.Class == Timeout {
		client.Reconnect()
	}
	return seen
}

func details(ctx context.Context, client *Client, kinds []Kind, seen *Observation) error {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := client.Read(ctx, http.MethodGet, "/version", nil, maxAnswer, &version); err != nil {
		return err
	}
	if version.GitVersion == "" {
		return badKubeconfig("%s answers, but not as a Kubernetes API server: check cluster.server", client.host)
	}
	seen.Version = version.GitVersion
	permissions := &v1alpha1.ClusterPermissions{}
	results := bounded.Map(ctx, reviewers, 0, kinds, client.mayList)
	for i, result := range results {
		if result.Err != nil {
			return result.Err
		}
		if result.Value {
			permissions.Allowed = append(permissions.Allowed, kinds[i].String())
			continue
		}
		permissions.Denied = append(permissions.Denied, kinds[i].String())
	}
	slices.Sort(permissions.Allowed)
	slices.Sort(permissions.Denied)
	seen.Permissions = permissions
	return nil
}

// mayList tells whether the client may list a kind in all namespaces.
func (c *Client) mayList(ctx context.Context, kind Kind) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "list", Group: kind.Group, Resource: kind.Resource},
	}}
	review.APIVersion, review.Kind = authorizationv1.SchemeGroupVersion.String(), "SelfSubjectAccessReview"
	asked, err := json.Marshal(review)
	if err != nil {
		return false, fmt.Errorf("encode access review: %w", err)
	}
	var answer authorizationv1.SelfSubjectAccessReview
	err = c.Read(ctx, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", asked, maxAnswer, &answer)
	return answer.Status.Allowed, err
}
