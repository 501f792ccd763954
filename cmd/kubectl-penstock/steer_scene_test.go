package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// The namespaces that the real controller of these tests sees. Only icebox is ever frozen.
const office, icebox = "office", "icebox"

// governed starts the real controller over both namespaces, with the policies and roles of
// config/admission, once for all tests.
var governed = sync.OnceValue(func() error {
	ctx := context.Background()
	if err := steered.InstallController(ctx); err != nil {
		return err
	}
	if _, err := steered.Kubectl(ctx, "apply", "-k", filepath.Join("..", "..", "config", "admission")); err != nil {
		return err
	}
	admin, err := steered.NewClient(env.Admin)
	if err != nil {
		return err
	}
	for _, name := range []string{office, icebox} {
		template := given.WorkflowTemplate(given.Template, time.Second)
		template.Namespace = name
		for _, object := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, template} {
			if err := admin.Create(ctx, object); err != nil {
				return err
			}
		}
	}
	database, err := steered.Postgres.NewDatabase(ctx, "steer")
	if err != nil {
		return err
	}
	_, err = steered.StartController(ctx, env.ControllerOptions{
		DatabaseURL: database, Env: []string{"WATCH_NAMESPACES=" + office + "," + icebox, "KUBE_API_QPS=200"},
	})
	return err
})

// desk is a CiPipeline and CdPipelines below it in a namespace of the controller's, all named
// after the test, and people with roles there.
type desk struct {
	*testing.T
	admin     client.WithWatch
	namespace string
	prefix    string
}

func newDesk(t *testing.T, namespace, prefix string, pipelines ...*v1alpha1.CdPipeline) *desk {
	t.Helper()
	require.NoError(t, governed())
	admin, err := steered.NewClient(env.Admin)
	require.NoError(t, err)
	d := &desk{T: t, admin: admin, namespace: namespace, prefix: prefix}
	d.create(given.CiPipeline(prefix))
	for _, pipeline := range pipelines {
		if pipeline.Spec.ParentRef.Name == given.CI {
			given.BelowCi(prefix)(pipeline)
		}
		d.create(pipeline)
	}
	return d
}

func (d *desk) create(objects ...client.Object) {
	d.Helper()
	for _, object := range objects {
		object.SetNamespace(d.namespace)
		object.SetUID("")
		require.NoError(d, d.admin.Create(d.Context(), object))
	}
}

// built creates a build that has ended so, and returns when it is planned.
func (d *desk) built(name string, phase v1alpha1.BuildPhase) {
	d.Helper()
	build := given.CiBuild(name, given.BuildOf(d.prefix))
	d.create(build)
	if phase == "" {
		return
	}
	build.Status.Phase, build.Status.Artifacts = phase, given.Artifacts(1)
	require.NoError(d, d.admin.Status().Update(d.Context(), build))
	d.eventually("build "+name+" to be planned", func() bool {
		require.NoError(d, d.admin.Get(d.Context(), client.ObjectKeyFromObject(build), build))
		return len(build.Status.Conditions) > 0
	})
}

func (d *desk) eventually(what string, is func() bool) {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			require.Fail(d, "waited for "+what)
		case <-ticker.C:
		}
	}
}

// pipeline is a CdPipeline as it is now.
func (d *desk) pipeline(name string) *v1alpha1.CdPipeline {
	d.Helper()
	pipeline := &v1alpha1.CdPipeline{}
	require.NoError(d, d.admin.Get(d.Context(), client.ObjectKey{Namespace: d.namespace, Name: name}, pipeline))
	return pipeline
}

// reaches waits until the newest run of a pipeline is so, such as DEPLOY Submitted, and
// returns its number.
func (d *desk) reaches(name, stage, phase string) int64 {
	d.Helper()
	var last *v1alpha1.LastRun
	d.eventually(name+" "+stage+" "+phase, func() bool {
		last = d.pipeline(name).Status.LastRun
		return last != nil && last.Stage == stage && last.Phase == phase
	})
	return last.Run
}

// end lets the Workflow end that a pipeline's newest run has, as Argo does.
func (d *desk) end(name string, phase wfv1.WorkflowPhase) {
	d.Helper()
	d.eventually("a Workflow of "+name, func() bool {
		last := d.pipeline(name).Status.LastRun
		workflow := &wfv1.Workflow{}
		if last == nil || d.admin.Get(d.Context(), client.ObjectKey{Namespace: d.namespace, Name: last.WorkflowName}, workflow) != nil || workflow.Status.Phase != "" {
			return false
		}
		workflow.Status.Phase, workflow.Status.FinishedAt = phase, metav1.Now()
		workflow.Labels["workflows.argoproj.io/phase"], workflow.Labels["workflows.argoproj.io/completed"] = string(phase), "true"
		return d.admin.Update(d.Context(), workflow) == nil
	})
}

// person is somebody with these ClusterRoles in the desk's namespace.
func (d *desk) person(name string, roles ...string) plugin {
	d.Helper()
	name = d.prefix + "-" + name
	d.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}})
	for _, role := range roles {
		namespace := d.namespace
		if role == settingsRole {
			namespace = env.ControllerNamespace
		}
		require.NoError(d, d.admin.Create(d.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "test-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: d.namespace, Name: name}},
		}))
	}
	kube, err := kubernetes.NewForConfig(steered.Config)
	require.NoError(d, err)
	token, err := kube.CoreV1().ServiceAccounts(d.namespace).CreateToken(d.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(d, err)
	return plugin{kubeconfig: writeLogin(d.T, steered.Config, token.Status.Token, d.namespace), home: d.namespace}
}

// user is how the API server names a person.
func (d *desk) user(name string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s-%s", d.namespace, d.prefix, name)
}

// able waits until the API server knows that a person may do something.
func (d *desk) able(name, verb, resource string, flags ...string) {
	d.Helper()
	d.eventually(name+" may "+verb+" "+resource, func() bool {
		args := append([]string{"--as", d.user(name), "auth", "can-i", verb, resource}, flags...)
		if len(flags) == 0 {
			args = append(args, "-n", d.namespace)
		}
		_, err := steered.Kubectl(d.Context(), args...)
		return err == nil
	})
}

// requests are the RunRequests about a pipeline.
func (d *desk) requests(pipeline string) []v1alpha1.RunRequest {
	d.Helper()
	var list v1alpha1.RunRequestList
	require.NoError(d, d.admin.List(d.Context(), &list, client.InNamespace(d.namespace)))
	var found []v1alpha1.RunRequest
	for _, request := range list.Items {
		if request.Spec.PipelineRef != nil && request.Spec.PipelineRef.Name == pipeline {
			found = append(found, request)
		}
	}
	return found
}

// complete returns what the shell is offered behind these words.
func (p plugin) complete(t *testing.T, words ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	args := append([]string{"__completeNoDesc", "--kubeconfig", p.kubeconfig}, words...)
	require.Zero(t, run(t.Context(), args, &out, &errOut), errOut.String())
	return out.String()
}
