package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/controllers/settings"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/world"
)

// spared are rights that this run does not need, each with its reason. The right to
// list what is watched is another: it is used where the API server streams no lists.
var spared = map[string]string{
	"events.k8s.io/events patch": "of an event that is told again within minutes",
	"/events patch":              "the same, of the Lease",
}

func isSpared(granted string, used map[string]bool) bool {
	kind, isList := strings.CutSuffix(granted, " list")
	return spared[granted] != "" || isList && used[kind+" watch"]
}

// addCluster has the controller probe its own cluster as any other, by a Secret.
func addCluster(t *testing.T, w *world.World, cluster *env.Environment) {
	t.Helper()
	path, err := cluster.KubeconfigFor(env.Admin)
	require.NoError(t, err)
	kubeconfig, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, w.Everywhere.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: "elsewhere"},
		Data:       map[string][]byte{"kubeconfig": kubeconfig},
	}))
	require.NoError(t, w.Everywhere.Create(t.Context(), given.TargetCluster("elsewhere")))
}

// buildsAndWebhooks has a build end that runs here, a person build it again and give up a wave,
// and a Receiver get its path.
func buildsAndWebhooks(t *testing.T, w *world.World) {
	t.Helper()
	receiver := given.Receiver("hooks", v1alpha1.ReceiverUnsigned)
	w.Create(given.CiPipeline("here", given.Builds("nowhere")), given.CiBuild("b3", given.BuildOf("here")), receiver)
	w.Eventually("the end of a build without a template", func(ctx context.Context) bool {
		return w.Build(ctx, "b3").Status.Phase == v1alpha1.BuildError
	})
	again, wave := given.RunRequest("again", v1alpha1.ActionRetry, given.OfTarget("CiBuild", "b3")), given.RunRequest("wave", v1alpha1.ActionCancel, given.OfTarget("BaseImage", "java"))
	w.Create(again, wave)
	w.Eventually("answers about a build and a wave, and a path", func(ctx context.Context) bool {
		for _, object := range []client.Object{again, wave, receiver} {
			require.NoError(t, w.Cluster.Get(ctx, client.ObjectKeyFromObject(object), object))
		}
		return again.Status.Phase == v1alpha1.RequestDone && wave.Status.Phase == v1alpha1.RequestRefused && receiver.Status.Path != ""
	})
	w.Eventually("the end of the build that was made again", func(context.Context) bool {
		return w.Count(`SELECT count(*) FROM task WHERE kind = 'ci' AND settled_at IS NOT NULL`) == 2
	})
}

// namesHome has a run be refused whose pipeline names Penstock's own cluster as another one.
func namesHome(w *world.World) {
	w.KubectlTells("describe cdpipeline named-home", "LaneShut", "it is the cluster that Penstock runs in: leave clusterRef out of the pipelines")
	w.Patch(&v1alpha1.CdPipeline{}, "named-home", `{"spec":{"suspend":true}}`)
	w.RowsAre(1, "Cancelled")
}

func TestTheGrantedRightsAreEnoughAndAllOfThemAreUsed(t *testing.T) {
	quiet, err := env.Start(t.Context(), env.Options{Audit: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, quiet.Stop()) })
	w := world.New(t, world.Options{Environment: quiet, Settings: []string{"LEADER_ELECT=true", "TEMPLATE_WAIT=1s"}})
	w.Create(given.CiPipeline(given.CI), given.CiBuild("b1"), given.CdPipeline("fine"), given.CdPipeline("nobodys", given.BelowCd("nobody")),
		given.CdPipeline("named-home", given.RunsIn("elsewhere")), given.CdPipeline("no-template", given.Runs("nowhere")), given.CdPipeline("no-cluster-template", given.Runs("nowhere"), clusterScope),
		given.CiPipeline("asleep", func(ci *v1alpha1.CiPipeline) {
			ci.Spec.Suspend, ci.Spec.BuildHistory = true, &v1alpha1.BuildHistory{}
		}), given.CiBuild("b2", given.BuildOf("asleep")))
	controller := w.Start()
	require.NoError(t, w.Everywhere.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.ControllerNamespace, Name: settings.ConfigMap},
		Data:       map[string]string{"KUBE_API_QPS": "many"},
	}))
	addCluster(t, w, quiet)
	channel, policy := given.WebhookChannel("hook", "https://nowhere.invalid"), given.Policy("team", []v1alpha1.NotificationEvent{v1alpha1.EventBuildFailed}, "hook")
	w.Create(channel, policy)
	image := given.BaseImage("java", "127.0.0.1:1/base/java:17") // which is no public address, and not connected to
	w.Create(image)
	w.Succeed("b1")
	w.Succeed("b2")
	w.RowsAre(2, "Error")
	w.RowsAre(1, "Submitted")
	for _, workflow := range w.Workflows() {
		w.Delete(&workflow)
	}
	w.RowsAre(3, "Error")
	request := given.RunRequest("back", v1alpha1.ActionRollback, given.OfPipeline("fine"))
	w.Create(request)
	w.Eventually("an answer to the request", func(ctx context.Context) bool {
		return w.Cluster.Get(ctx, client.ObjectKeyFromObject(request), request) == nil && request.Status.Phase == v1alpha1.RequestRefused
	})
	buildsAndWebhooks(t, w)
	namesHome(w)
	w.Eventually("a probed cluster", func(ctx context.Context) bool {
		var cluster v1alpha1.TargetCluster
		return w.Everywhere.Get(ctx, client.ObjectKey{Name: "elsewhere"}, &cluster) == nil && cluster.Status.Phase == v1alpha1.ClusterHealthy
	})
	w.Eventually("conditions of a channel and a policy", func(ctx context.Context) bool {
		return w.Cluster.Get(ctx, client.ObjectKeyFromObject(channel), channel) == nil && len(channel.Status.Conditions) > 0 &&
			w.Cluster.Get(ctx, client.ObjectKeyFromObject(policy), policy) == nil && len(policy.Status.Conditions) > 0
	})
	w.Eventually("a condition of a base image", func(ctx context.Context) bool {
		return w.Cluster.Get(ctx, client.ObjectKeyFromObject(image), image) == nil && len(image.Status.Conditions) > 0
	})
	w.Eventually("the end of a build that is kept no longer", func(ctx context.Context) bool {
		return apierrors.IsNotFound(w.Cluster.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: "b2"}, &v1alpha1.CiBuild{}))
	})
	rest(w)
	w.Judge()
	require.NoError(t, controller.Stop()) // a watch is in the log when it has ended

	log, err := audit.Read(quiet.AuditLog)
	require.NoError(t, err)
	used := map[string]bool{}
	for _, event := range log.Penstock() {
		require.NotContains(t, []int{401, 403}, event.Code, "%+v is not granted", event)
		used[right(event.Group, event.Resource, event.Subresource, event.Verb)] = true
	}
	var unused []string
	for _, granted := range grantedRights(t) {
		if !used[granted] && !isSpared(granted, used) {
			unused = append(unused, granted)
		}
	}
	require.Empty(t, unused, "granted and not used")
}

func clusterScope(pipeline *v1alpha1.CdPipeline) {
	pipeline.Spec.Deploy.Workflow.TemplateRef.ClusterScope = true
}

func right(group, resource, subresource, verb string) string {
	if subresource != "" {
		resource += "/" + subresource
	}
	return group + "/" + resource + " " + verb
}

// grantedRights are those of config/rbac, which the chart copies.
func grantedRights(t *testing.T) (rights []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "rbac", "role.yaml"))
	require.NoError(t, err)
	chart, err := os.ReadFile(filepath.Join("..", "..", "charts", "penstock", "files", "role.yaml"))
	require.NoError(t, err)
	require.Equal(t, string(text), string(chart), "what the chart grants")
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), len(text)); ; {
		var role rbacv1.ClusterRole
		err := decoder.Decode(&role)
		if errors.Is(err, io.EOF) {
			return slices.Compact(slices.Sorted(slices.Values(rights)))
		}
		require.NoError(t, err)
		for _, rule := range role.Rules {
			rights = append(rights, rightsOf(rule)...)
		}
	}
}

func rightsOf(rule rbacv1.PolicyRule) (rights []string) {
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				rights = append(rights, right(group, resource, "", verb))
			}
		}
	}
	return rights
}
