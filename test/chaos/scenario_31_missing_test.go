package chaos

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/env/fault"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

const (
	// named is what may pass until readiness names what is missing.
	named = time.Minute
	// endsWithin is what a process may take to end after SIGTERM that has nothing in flight.
	endsWithin = 10 * time.Second
)

// missingRights is what is taken away, and what the controller says and does all the same.
var missingRights = map[string]struct {
	resource, verb string
	// kind, where it is set, is a CRD that is deleted.
	crd   string
	says  string
	still string // the state that tasks reach
	short bool
}{
	"templates of the cluster can't be listed": {
		resource: "clusterworkflowtemplates", verb: "list", says: "may not list clusterworkflowtemplates.argoproj.io", still: "Submitted", short: true,
	},
	"Workflows can't be watched": {resource: "workflows", verb: "list", says: "may not list workflows.argoproj.io", still: "Submitted"},
	"events can't be created":    {resource: "events", verb: "create", says: "may not create events", still: "Submitted"},
	"status can't be written":    {resource: "cibuilds/status", verb: "patch", says: "may not patch cibuilds.penstock.dev/status", still: "Submitted"},
	"Workflows can't be created": {resource: "workflows", verb: "create", says: "may not create workflows.argoproj.io", still: "Pending"},
	"requests can't be listed":   {resource: "runrequests", verb: "list", says: "may not list runrequests.penstock.dev", still: "Submitted"},
	"RunRequest is not installed": {
		crd: "runrequests.penstock.dev", says: "kind RunRequest of penstock.dev/v1alpha1 is not installed: install Penstock's CRDs", still: "Submitted", short: true,
	},
}

//nolint:tparallel // its subtests share one cluster, from which each takes something else
func TestWhatIsMissingIsNamedAndEverythingElseWorks(t *testing.T) {
	t.Parallel()
	quiet, err := env.Start(t.Context(), env.Options{Audit: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, quiet.Stop()) })
	names := make([]string, 0, len(missingRights))
	for name := range missingRights {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return len(missingRights[a].crd) - len(missingRights[b].crd) }) // a CRD stays away
	for _, name := range names {
		missing := missingRights[name]
		if testing.Short() && !missing.short {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := world.New(t, world.Options{Environment: quiet})
			if missing.crd != "" {
				_, err := quiet.Kubectl(t.Context(), "delete", "crd", missing.crd)
				require.NoError(t, err)
			} else {
				takeAway(t, quiet, missing.resource, missing.verb)
			}
			w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CiBuild("b1"))
			began := time.Now()
			controller := w.Launch(env.ControllerOptions{Binary: "penstock"})
			unready(w, controller, "[+]database ok", "[-]cluster failed: ", missing.says)
			require.Less(t, time.Since(began), named)
			w.Succeed("b1")
			w.RowsAre(1, missing.still)
			require.NoError(t, controller.Signal(syscall.SIGTERM))
			ended(t, controller, endsWithin)
			require.NoError(t, controller.Exit())
		})
	}
}

// takeAway takes one verb on one resource from Penstock, of all groups that have it.
func takeAway(t *testing.T, e *env.Environment, resource, verb string) {
	t.Helper()
	client, err := kubernetes.NewForConfig(e.Config)
	require.NoError(t, err)
	role, err := client.RbacV1().ClusterRoles().Get(t.Context(), "penstock", metav1.GetOptions{})
	require.NoError(t, err)
	var rules []rbacv1.PolicyRule
	for _, rule := range role.Rules {
		for _, one := range rule.Resources {
			left := rule.DeepCopy()
			left.Resources = []string{one}
			if one == resource {
				left.Verbs = slices.DeleteFunc(left.Verbs, func(has string) bool { return has == verb })
			}
			if len(left.Verbs) > 0 {
				rules = append(rules, *left)
			}
		}
	}
	role.Rules = rules
	_, err = client.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func TestAProcessWhoseCacheIsNeverCompleteEndsAfterSIGTERM(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	proxy, controller := unlisted(t, w)
	w.Eventually("it lists in vain", func(context.Context) bool { return len(proxy.Requests()) > 20 })
	require.NoError(t, controller.Signal(syscall.SIGTERM))
	ended(t, controller, endsWithin)
}

// unlisted is a controller to which the API server never lists templates of the cluster.
func unlisted(t *testing.T, w *world.World) (*fault.APIServer, *world.Controller) {
	t.Helper()
	proxy, err := fault.NewAPIServer(local.Config)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	proxy.Break(func(_ context.Context, request fault.Request) fault.Fault {
		if request.Resource == "clusterworkflowtemplates" {
			return fault.InternalError
		}
		return fault.None
	})
	return proxy, w.Launch(env.ControllerOptions{Cluster: proxy.Through(local.ConfigFor(env.Penstock))})
}
