package docs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// steering is the namespace in which the page is followed.
const steering = "steering"

// A person follows the page with the plugin, in a namespace with the samples.
func TestEveryCommandOfTheSteeringPageRuns(t *testing.T) {
	r := newReader(t, "steering.md")
	r.usePlugin(t)
	console := func(text string) { r.run(t, command{language: "console", text: text}) }
	console("kubectl apply -k config/default")
	console("kubectl create namespace " + steering)
	controller, err := local.StartController(t.Context(), env.ControllerOptions{
		Name: steering, DatabaseURL: local.NewDatabase(t), Env: []string{"WATCH_NAMESPACES=" + steering, "KUBE_API_QPS=200"},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, controller.Stop()) }()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	stop := playArgo(t, admin)
	defer stop()

	console("kubectl apply -f config/samples/templates.yaml -f config/samples/pipelines.yaml")
	finish := func(name string) {
		build := given.CiBuild(name, given.BuildOf("checkout"))
		build.Namespace = steering
		require.NoError(t, admin.Create(t.Context(), build))
		build.Status.Phase, build.Status.Artifacts = v1alpha1.BuildSucceeded, given.Artifacts(1)
		require.NoError(t, admin.Status().Update(t.Context(), build))
		awaitHeld(t, admin, "checkout-production", name)
	}
	finish("checkout-0")
	console("kubectl penstock trigger checkout-sandbox --build checkout-0 --watch")
	finish("checkout-1")
	page := strings.ReplaceAll(r.text(t), "--namespace shop", "--namespace "+steering) // shop is another page's
	for _, command := range commandsOf(t, page) {
		require.Empty(t, command.notRun)
		r.run(t, command)
	}
	var requests v1alpha1.RunRequestList
	require.NoError(t, admin.List(t.Context(), &requests, client.InNamespace(steering)))
	require.Len(t, requests.Items, 7)
	for _, request := range requests.Items {
		require.NotEqual(t, v1alpha1.RequestRefused, request.Status.Phase, request.Status.Message)
	}
}

// usePlugin builds the plugin into PATH, and gives the reader a kubeconfig whose namespace is
// that of the page.
func (r *reader) usePlugin(t *testing.T) {
	t.Helper()
	bin, kubeconfig := filepath.Join(r.dir, "plugins"), filepath.Join(r.dir, "kubeconfig")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "kubectl-penstock"), "../../cmd/kubectl-penstock")
	printed, err := build.CombinedOutput()
	require.NoError(t, err, "%s", printed)
	text, err := os.ReadFile(local.Kubeconfig)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(kubeconfig, text, 0o600))
	path := ""
	for _, variable := range r.environment {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			path = value
		}
	}
	r.environment = append(r.environment, "KUBECONFIG="+kubeconfig, "PATH="+bin+":"+path)
	r.run(t, command{language: "console", text: "kubectl config set-context --current --namespace " + steering})
}

// awaitHeld returns when a run of the build waits for a person.
func awaitHeld(t *testing.T, admin client.Client, name, build string) {
	t.Helper()
	require.Eventually(t, func() bool {
		pipeline := &v1alpha1.CdPipeline{}
		require.NoError(t, admin.Get(t.Context(), client.ObjectKey{Namespace: steering, Name: name}, pipeline))
		last := pipeline.Status.LastRun
		return last != nil && last.BuildName == build && last.Phase == "Held"
	}, patience, 100*time.Millisecond)
}

// playArgo lets Workflows succeed at once, but for the one that the page cancels, which fails
// once it is stopped.
func playArgo(t *testing.T, admin client.Client) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			endWorkflows(ctx, admin)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// endWorkflows is tried again where it fails.
func endWorkflows(ctx context.Context, admin client.Client) {
	var workflows wfv1.WorkflowList
	if admin.List(ctx, &workflows, client.InNamespace(steering)) != nil {
		return
	}
	for i := range workflows.Items {
		workflow := &workflows.Items[i]
		switch {
		case workflow.Status.Phase != "":
			continue
		case workflow.Spec.Shutdown != "":
			workflow.Status.Phase = wfv1.WorkflowFailed
		case workflow.Annotations[v1alpha1.AnnotationReason] == "try it by hand":
			continue
		default:
			workflow.Status.Phase = wfv1.WorkflowSucceeded
		}
		workflow.Labels["workflows.argoproj.io/phase"], workflow.Labels["workflows.argoproj.io/completed"] = string(workflow.Status.Phase), "true"
		_ = admin.Update(ctx, workflow)
	}
}
