package install

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// installed is a release in a cluster with Argo, whose Deployments run as processes: no
// kubelet does that here.
type installed struct {
	*env.Environment
	kube    *kubernetes.Clientset
	objects client.Client
}

func newInstalled(t *testing.T) installed {
	t.Helper()
	cluster, err := env.Start(t.Context(), env.Options{ControllerManager: true, Argo: true, Audit: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop()) })
	kube, objects := clientsOf(t, cluster)
	return installed{cluster, kube, objects}
}

// pod is what a kubelet would start: the account's token, the arguments and the environment of a
// Deployment's only container.
type pod struct {
	args, environ []string
	cluster       *rest.Config
}

func (i installed) podOf(t *testing.T, namespace, deployment string) pod {
	t.Helper()
	object, err := i.kube.AppsV1().Deployments(namespace).Get(t.Context(), deployment, metav1.GetOptions{})
	require.NoError(t, err)
	container := object.Spec.Template.Spec.Containers[0]
	config := rest.CopyConfig(i.Config)
	config.BearerToken = i.token(t, namespace, object.Spec.Template.Spec.ServiceAccountName)
	// What the tests' environment sets beside, and a pod has otherwise.
	environ := []string{"LEADER_ELECT=true", "POD_NAMESPACE=" + namespace}
	for _, variable := range container.Env {
		environ = append(environ, variable.Name+"="+i.valueOf(t, object, variable))
	}
	return pod{args: container.Args, environ: environ, cluster: config}
}

func (i installed) valueOf(t *testing.T, deployment *appsv1.Deployment, variable corev1.EnvVar) string {
	t.Helper()
	switch from := variable.ValueFrom; {
	case from == nil:
		return variable.Value
	case from.SecretKeyRef != nil:
		secret, err := i.kube.CoreV1().Secrets(deployment.Namespace).Get(t.Context(), from.SecretKeyRef.Name, metav1.GetOptions{})
		require.NoError(t, err)
		require.Contains(t, secret.Data, from.SecretKeyRef.Key)
		return string(secret.Data[from.SecretKeyRef.Key])
	default:
		require.Equal(t, "metadata.uid", from.FieldRef.FieldPath)
		return string(deployment.UID) // as good as a pod's
	}
}

// token is one as a kubelet asks for.
func (i installed) token(t *testing.T, namespace, account string) string {
	t.Helper()
	request, err := i.kube.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return request.Status.Token
}

func (i installed) startController(t *testing.T, namespace, deployment string) *env.Controller {
	t.Helper()
	pod := i.podOf(t, namespace, deployment)
	require.Equal(t, []string{"controller"}, pod.args)
	controller, err := i.StartController(t.Context(), env.ControllerOptions{Name: deployment, Cluster: pod.cluster, Env: pod.environ})
	require.NoError(t, err)
	return controller
}

// deploy has a build end in a namespace, and returns when what it triggers has succeeded.
func (i installed) deploy(t *testing.T, namespace string) {
	t.Helper()
	pipeline, build := given.CdPipeline("web"), given.CiBuild("b1")
	for _, object := range []client.Object{given.WorkflowTemplate(given.Template, time.Second), given.CiPipeline(given.CI), pipeline, build} {
		object.SetNamespace(namespace)
		require.NoError(t, i.objects.Create(t.Context(), object))
	}
	build.Status.Phase, build.Status.Artifacts = v1alpha1.BuildSucceeded, []v1alpha1.Artifact{given.Artifact(0)}
	require.NoError(t, i.objects.Status().Patch(t.Context(), build, client.Merge))
	require.Eventually(t, func() bool {
		require.NoError(t, i.objects.Get(t.Context(), client.ObjectKeyFromObject(pipeline), pipeline))
		return len(pipeline.Status.Deployed) > 0
	}, patience, 100*time.Millisecond)
}

// requireNothingDenied looks at all that an account has asked the API server for.
func (i installed) requireNothingDenied(t *testing.T, account string) (used map[string]bool) {
	t.Helper()
	log, err := audit.Read(i.AuditLog)
	require.NoError(t, err)
	used = map[string]bool{}
	for _, event := range log {
		if event.User != "system:serviceaccount:"+account {
			continue
		}
		require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, event.Code, "%+v is not granted", event)
		resource := strings.TrimSuffix(event.Resource+"/"+event.Subresource, "/")
		used[event.Group+"/"+resource+" "+event.Verb] = true
	}
	require.NotEmpty(t, used, account)
	return used
}

func TestControllerAndServerWorkWithTheRightsOfTheChartAndNothingIsDenied(t *testing.T) {
	i := newInstalled(t)
	createNamespace(t, i.Environment, namespace)
	helm(t, i.Environment, "install", release, chart, "--namespace", namespace, "--take-ownership", "--set-literal", "database.url="+i.DatabaseURL)
	controller := i.startController(t, namespace, "penstock")
	serving := i.podOf(t, namespace, "penstock-server")
	require.Equal(t, []string{"server"}, serving.args)
	server, err := i.StartServer(t.Context(), env.ServerOptions{Cluster: serving.cluster, Env: serving.environ})
	require.NoError(t, err)

	i.deploy(t, given.Namespace)
	reader := i.reader(t)
	require.Eventually(t, func() bool {
		status, body := ask(t, server, reader, "/api/v1/namespaces/default/builds/b1")
		return status == http.StatusOK && strings.Contains(body, "b1")
	}, patience, 100*time.Millisecond)
	status, _ := ask(t, server, i.token(t, given.Namespace, "default"), "/api/v1/namespaces/default/builds/b1")
	require.Equal(t, http.StatusForbidden, status, "who has no role may read nothing")

	require.NoError(t, server.Stop()) // a watch is in the log when it has ended
	require.NoError(t, controller.Stop())
	used := i.requireNothingDenied(t, namespace+":penstock")
	require.True(t, used["argoproj.io/workflows create"])
	requireAllUsed(t, i.requireNothingDenied(t, namespace+":penstock-server"))
}

// sparedOfServer are rights of the server that this run does not need, each with its reason.
// scenario 20 of test/chaos asks the same of the controller's.
var sparedOfServer = map[string]string{
	"penstock.dev/targetclusters get":              "of a cluster that a caller names",
	"penstock.dev/targetclusters list":             "the API server streams lists",
	"/secrets list":                                "the same",
	"/configmaps update":                           "of an address that has changed",
	"penstock.dev/cdpipelines trigger":             forOthers,
	"penstock.dev/cdpipelines retry":               forOthers,
	"penstock.dev/cdpipelines resume":              forOthers,
	"penstock.dev/cdpipelines cancel":              forOthers,
	"penstock.dev/cdpipelines rollback":            forOthers,
	"penstock.dev/cdpipelines requestforothers":    forOthers,
	"penstock.dev/cibuilds retry":                  forOthers,
	"penstock.dev/cibuilds cancel":                 forOthers,
	"penstock.dev/cibuilds requestforothers":       forOthers,
	"penstock.dev/baseimages resume":               forOthers,
	"penstock.dev/baseimages cancel":               forOthers,
	"penstock.dev/baseimages requestforothers":     forOthers,
	"penstock.dev/targetclusters resume":           forOthers,
	"penstock.dev/targetclusters cancel":           forOthers,
	"penstock.dev/targetclusters requestforothers": forOthers,
	"penstock.dev/runrequests create":              forOthers,
	"penstock.dev/runrequests get":                 forOthers,
}

// forOthers is why the server may do what callers ask for.
const forOthers = "of a caller that has no token which the API server knows: server/api tests it"

func requireAllUsed(t *testing.T, used map[string]bool) {
	t.Helper()
	for _, object := range (rendering{}).objects(t) {
		if object.GetName() != "penstock-server" || (object.GetKind() != "ClusterRole" && object.GetKind() != "Role") {
			continue
		}
		for _, rule := range rulesOf(t, object) {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					right := rule.APIGroups[0] + "/" + resource + " " + verb
					require.True(t, used[right] || sparedOfServer[right] != "", "%s is granted and not used: %v", right, used)
				}
			}
		}
	}
}

// reader is a ServiceAccount that may see what Kubernetes' role view lets it, which includes
// penstock-view.
func (i installed) reader(t *testing.T) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "reader"}}
	_, err := i.kube.CoreV1().ServiceAccounts(given.Namespace).Create(t.Context(), account, metav1.CreateOptions{})
	require.NoError(t, err)
	kubectl(t, i.Environment, "", "-n", given.Namespace, "create", "rolebinding", "reader", "--clusterrole=view", "--serviceaccount=default:reader")
	return i.token(t, given.Namespace, "reader")
}

func ask(t *testing.T, server *env.Server, token, path string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Roots(), MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func TestTwoNarrowReleasesWorkBesideEachOtherWithRolesAlone(t *testing.T) {
	i := newInstalled(t)
	for team, crds := range map[string]string{"one": "true", "two": "false"} {
		createNamespace(t, i.Environment, team)
		createNamespace(t, i.Environment, team+"-system")
		helm(t, i.Environment, "install", team, chart, "--namespace", team+"-system", "--take-ownership", "--set",
			"crds.enabled="+crds+",server.enabled=false,admission.enabled=false,roles.enabled=false,watchNamespaces={"+team+"}",
			"--set-literal", "database.url="+i.NewDatabase(t))
	}
	one, two := i.startController(t, "one-system", "one-penstock"), i.startController(t, "two-system", "two-penstock")
	i.deploy(t, "one")
	i.deploy(t, "two")
	require.NoError(t, one.Stop())
	require.NoError(t, two.Stop())
	i.requireNothingDenied(t, "one-system:one-penstock")
	i.requireNothingDenied(t, "two-system:two-penstock")
}
