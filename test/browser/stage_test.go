package browser

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

// stage is what all tests look at: a server, a controller, and what they show.
type stage struct {
	server  *env.Server
	cluster client.Client
	kube    *kubernetes.Clientset
	// reader may read all, stranger nothing. Both are tokens.
	reader, stranger string
}

var shared struct {
	once  sync.Once
	stage *stage
	err   error
}

// theStage is prepared once for all tests.
func theStage(t testing.TB) *stage {
	t.Helper()
	shared.once.Do(func() { shared.stage, shared.err = prepare(context.Background()) })
	require.NoError(t, shared.err)
	return shared.stage
}

func prepare(ctx context.Context) (*stage, error) {
	s := &stage{}
	var err error
	if s.cluster, err = local.NewClient(env.Admin); err != nil {
		return nil, err
	}
	if s.kube, err = kubernetes.NewForConfig(local.Config); err != nil {
		return nil, err
	}
	if err := local.InstallServer(ctx); err != nil {
		return nil, err
	}
	if _, err := local.StartController(ctx, env.ControllerOptions{Env: []string{"KUBE_API_QPS=200", "CLUSTER_PROBE_INTERVAL=5s"}}); err != nil {
		return nil, err
	}
	if s.server, err = local.StartServer(ctx, serverOptions("penstock-server")); err != nil {
		return nil, err
	}
	for _, part := range []string{"target", "admission"} {
		if _, err := local.Kubectl(ctx, "apply", "-k", filepath.Join("..", "..", "config", part)); err != nil {
			return nil, err
		}
	}
	if err := s.cluster.Create(ctx, &rbacv1.ClusterRoleBinding{ // for the cluster that the server runs in
		ObjectMeta: metav1.ObjectMeta{Name: "penstock-server-target"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-target"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: env.ControllerNamespace, Name: "penstock-server"}},
	}); err != nil {
		return nil, err
	}
	if s.reader, err = s.person(ctx, "reader", "penstock-reader", "penstock-cluster-reader", "penstock-redeliverer"); err != nil {
		return nil, err
	}
	if s.stranger, err = s.person(ctx, "stranger"); err != nil {
		return nil, err
	}
	err = s.furnish(ctx)
	return s, err
}

// serverOptions are those of servers that know each other's sessions.
func serverOptions(name string) env.ServerOptions {
	return env.ServerOptions{Name: name, Env: []string{"DASHBOARD_SESSION_KEY=" + strings.Repeat("k", 32)}}
}

// person creates somebody with these ClusterRoles, and returns their token.
func (s *stage) person(ctx context.Context, name string, roles ...string) (string, error) {
	const namespace = "default"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	if err := s.cluster.Create(ctx, account); err != nil {
		return "", err
	}
	for _, role := range roles {
		if err := s.cluster.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
		}); err != nil {
			return "", err
		}
	}
	got, err := s.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return got.Status.Token, nil
}

// In each namespace of the stage something else is to be seen.
const (
	shopNamespace, manyNamespace, oddNamespace = "shop", "many", "odd"
	// markup is a name that would be a script if it were not escaped.
	markup = `<script>alert("x")</script><img src=x onerror=alert(1)>`
	// rightToLeft is a name that is read from the right.
	rightToLeft = "חנות האינטרנט"
)

// longName is as long as Kubernetes allows.
var longName = strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 61)

// furnish creates what the pages show.
func (s *stage) furnish(ctx context.Context) error {
	for _, namespace := range []string{shopNamespace, manyNamespace, oddNamespace} {
		if err := s.cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
			return err
		}
	}
	objects := append(shop(), append(many(), odd()...)...)
	objects = append(objects,
		given.TargetCluster("eu-central", given.Virtual, given.Labelled("region", "eu")), given.TargetCluster("us-east", given.Virtual, given.Labelled("region", "us")),
		given.TargetCluster("home", given.InCluster), given.TargetCluster("ap-south", given.Labelled("region", "ap")),
	)
	for _, object := range objects {
		object.SetUID("")
		if err := s.cluster.Create(ctx, object); err != nil {
			return fmt.Errorf("create %T %s: %w", object, object.GetName(), err)
		}
	}
	for _, build := range []string{shopNamespace + "/shop-1", manyNamespace + "/wide-1", oddNamespace + "/odd-1"} {
		namespace, name, _ := strings.Cut(build, "/")
		if err := s.succeed(ctx, namespace, name); err != nil {
			return err
		}
	}
	return s.settled(ctx)
}

// shop is an application with everything that happens in one.
func shop() []client.Object {
	in := func(environment string, with ...func(*v1alpha1.CdPipeline)) func(*v1alpha1.CdPipeline) {
		return func(p *v1alpha1.CdPipeline) {
			p.Namespace, p.Spec.Application, p.Spec.Environment = shopNamespace, "shop", environment
			for _, change := range with {
				change(p)
			}
		}
	}
	ci := given.CiPipeline("shop-ci", func(p *v1alpha1.CiPipeline) { p.Namespace, p.Spec.Application = shopNamespace, "shop" })
	build := given.CiBuild("shop-1", given.BuildOf("shop-ci"), func(b *v1alpha1.CiBuild) {
		b.Namespace, b.Spec.Revision = shopNamespace, "4f9d2c7a0b1e"
		b.Spec.Cause = &v1alpha1.BuildCause{Type: v1alpha1.CauseAPI, By: "alice", Message: "Add gift cards"}
	})
	running := given.CiBuild("shop-2", given.BuildOf("shop-ci"), func(b *v1alpha1.CiBuild) { b.Namespace, b.Spec.Revision = shopNamespace, "9be01d3355aa" })
	objects := []client.Object{
		ci, build, running,
		given.CdPipeline("shop-dev", given.BelowCi("shop-ci"), given.Runs("quick"), in("dev")),
		given.CdPipeline("shop-staging", given.BelowCd("shop-dev"), given.Runs("quick"), in("staging")),
		given.CdPipeline("shop-prod", given.BelowCd("shop-staging"), given.Runs("quick"), given.ManualStage("DEPLOY"), in("prod")),
		given.CdPipeline("shop-eu-west", given.BelowCi("shop-ci"), given.Runs("failing-pod"), in("eu")),
		given.CdPipeline("shop-load-test", given.BelowCi("shop-ci"), given.Runs("slow"), in("perf")),
		given.CdPipeline("shop-docs", given.BelowCi("shop-ci"), given.Runs("quick"), given.Filter(`build.ref == "refs/heads/docs"`), in("docs")),
		given.CdPipeline("shop-legacy", given.BelowCi("shop-ci"), given.Runs("quick"), given.Suspended, in("legacy")),
		given.CdPipeline("shop-audit", given.BelowCi("shop-ci"), given.Runs("audit-export"), in("audit")),
	}
	for _, template := range []client.Object{given.WorkflowTemplate("quick", time.Second), given.WorkflowTemplate("slow", time.Hour), given.PodTemplate("failing-pod", "1")} {
		template.SetNamespace(shopNamespace)
		objects = append(objects, template)
	}
	return objects
}

// many are so many applications that a list has pages, and one with a wide graph.
func many() (objects []client.Object) {
	ci := func(name, application string) client.Object {
		return given.CiPipeline(name, func(p *v1alpha1.CiPipeline) { p.Namespace, p.Spec.Application = manyNamespace, application })
	}
	for i := range 60 {
		objects = append(objects, ci(fmt.Sprintf("service-%02d", i), fmt.Sprintf("service-%02d", i)))
	}
	objects = append(objects, ci("wide-ci", "wide"), given.CiBuild("wide-1", given.BuildOf("wide-ci"), func(b *v1alpha1.CiBuild) { b.Namespace = manyNamespace }))
	for i := range 120 {
		objects = append(objects, given.CdPipeline(fmt.Sprintf("wide-%03d", i), given.BelowCi("wide-ci"), given.Suspended, func(p *v1alpha1.CdPipeline) {
			p.Namespace, p.Spec.Application, p.Spec.Environment = manyNamespace, "wide", fmt.Sprintf("region-%d", i%12)
			if i >= 40 {
				given.BelowCd(fmt.Sprintf("wide-%03d", i-40))(p)
			}
		}))
	}
	return objects
}

// odd are applications whose names are hard to show.
func odd() (objects []client.Object) {
	for i, application := range []string{markup, rightToLeft} {
		name := fmt.Sprintf("odd-%d", i+1)
		objects = append(objects,
			given.CiPipeline(name, func(p *v1alpha1.CiPipeline) { p.Namespace, p.Spec.Application = oddNamespace, application }),
			given.CdPipeline(name, given.BelowCi(name), given.Suspended, func(p *v1alpha1.CdPipeline) {
				p.Namespace, p.Spec.Application, p.Spec.Environment = oddNamespace, application, application
			}))
	}
	return append(objects,
		given.CdPipeline(longName, given.BelowCi("odd-1"), given.Suspended, func(p *v1alpha1.CdPipeline) { p.Namespace, p.Spec.Application = oddNamespace, "" }),
		given.CiBuild("odd-1", given.BuildOf("odd-1"), func(b *v1alpha1.CiBuild) { b.Namespace, b.Spec.Revision = oddNamespace, markup }))
}

// succeed finishes a build, as an external CI system does.
func (s *stage) succeed(ctx context.Context, namespace, name string) error {
	build := &v1alpha1.CiBuild{}
	if err := s.cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, build); err != nil {
		return err
	}
	build.Status.Phase, build.Status.Artifacts = v1alpha1.BuildSucceeded, given.Artifacts(1)
	build.Status.Artifacts[0].Image = "registry.example.com/" + namespace + ":1.4.0"
	return s.cluster.Status().Update(ctx, build)
}

// settled waits until the shop is as the tests expect it: dev and staging are deployed, prod
// waits for a person, eu has failed, and the load test runs.
func (s *stage) settled(ctx context.Context) error {
	want := map[string]string{"shop-staging": "Succeeded", "shop-eu-west": "Failed", "shop-load-test": "Running", "shop-prod": "Held"}
	deadline, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		missing := ""
		for name, state := range want {
			pipeline := &v1alpha1.CdPipeline{}
			if err := s.cluster.Get(ctx, client.ObjectKey{Namespace: shopNamespace, Name: name}, pipeline); err != nil {
				return err
			}
			if run := pipeline.Status.LastRun; run == nil || run.Phase != state {
				missing = fmt.Sprintf("%s is not %s: %+v", name, state, run)
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-deadline.Done():
			return fmt.Errorf("the stage is not ready: %s", missing)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
