package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// askers is how many namespaces are asked for at once.
	askers = 8
	// deniedFor is for how long a namespace is left out where Penstock may not list Workflows.
	deniedFor = 30 * time.Second
)

// permitted returns those of the namespaces where Penstock may list Workflows: a watch that lacks
// the right in one of them would never begin in any. What is to be triggered in the others is told
// that it is Forbidden when it is created.
func (k *keeper) permitted(ctx context.Context, reached *fleet.Client, namespaces []string) ([]string, error) {
	now := time.Now()
	var unknown []string
	for _, namespace := range namespaces {
		if _, known := k.rights[namespace]; !known || now.After(k.rights[namespace].until) {
			unknown = append(unknown, namespace)
		}
	}
	answers := bounded.ForEach(ctx, askers, probeTimeout, unknown, func(ctx context.Context, namespace string) error {
		return mayList(ctx, reached, namespace)
	})
	for i, err := range answers {
		denied := isDenied(err)
		if err != nil && !denied {
			return nil, err
		}
		if denied {
			k.Log.Info("workflows of a namespace are not followed: grant the rights of config/target/runs there", "cluster", k.cluster, "namespace", unknown[i])
		}
		k.rights[unknown[i]] = right{denied: denied, until: now.Add(untilOf(denied))}
	}
	var permitted []string
	for _, namespace := range namespaces {
		if !k.rights[namespace].denied {
			permitted = append(permitted, namespace)
		}
	}
	return permitted, nil
}

// permittedAnew asks the cluster for every namespace, also for those whose answer is known: Penstock
// may have lost a right while it did not watch.
func (k *keeper) permittedAnew(ctx context.Context, reached *fleet.Client, namespaces []string) ([]string, error) {
	clear(k.rights)
	return k.permitted(ctx, reached, namespaces)
}

// forbidden is the lane of a cluster where Penstock may follow Workflows in none of the namespaces.
func forbidden(cluster string, namespaces []string) store.ClusterLane {
	return store.ClusterLane{Cluster: cluster, Reason: v1alpha1.ReasonForbidden, Message: fmt.Sprintf(
		"Penstock may not list Workflows there in namespace %s: apply config/target/runs in the cluster, and bind penstock-target-runs in the namespace", strings.Join(namespaces, ", "))}
}

// right is whether Workflows of a namespace may be listed, and how long that is believed.
type right struct {
	denied bool
	until  time.Time
}

// untilOf is for how long an answer counts. permittedAnew forgets all answers.
func untilOf(denied bool) time.Duration {
	if denied {
		return deniedFor
	}
	return 24 * time.Hour
}

func mayList(ctx context.Context, reached *fleet.Client, namespace string) error {
	path := "/apis/argoproj.io/v1alpha1/namespaces/" + url.PathEscape(namespace) + "/workflows"
	response, err := reached.Do(ctx, http.MethodGet, path, url.Values{"limit": {"1"}}, nil, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func isDenied(err error) bool {
	var failure *fleet.Failure
	return errors.As(err, &failure) && failure.Status == http.StatusForbidden
}
