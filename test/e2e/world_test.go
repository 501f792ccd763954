package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/oracle"
)

const (
	// patience bounds each wait; it is generous, since two cores do everything.
	patience = 2 * time.Minute
	look     = 50 * time.Millisecond
	schema   = "penstock"
	digest   = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// world is one test's own: a namespace, a database and, once started, a controller
// that sees nothing else.
type world struct {
	t          *testing.T
	namespace  string
	url        string
	database   *pgxpool.Pool
	cluster    client.Client
	controller *env.Controller
	settings   []string
}

// newWorld prepares a world whose controller is not started yet. At the end of the
// test the oracle looks at it.
func newWorld(t *testing.T, settings ...string) *world {
	t.Helper()
	w := &world{t: t, namespace: local.NewNamespace(t), url: local.NewDatabase(t)}
	w.settings = append([]string{
		"WATCH_NAMESPACES=" + w.namespace, "TRIGGER_LEASE=5s", "SWEEP_INTERVAL=5s", "KUBE_API_QPS=200",
	}, settings...)
	w.cluster = newClient(t, w.namespace)
	w.prepareDatabase()
	require.NoError(t, local.InstallController(t.Context()))
	w.create(template("deploy", "1s"), podTemplate("pod", ""), podTemplate("failing-pod", "1"))
	return w
}

func (w *world) prepareDatabase() {
	w.t.Helper()
	require.NoError(w.t, store.Migrate(w.t.Context(), store.Config{URL: w.url, Schema: schema, MaxConns: 1}))
	config, err := pgxpool.ParseConfig(w.url)
	require.NoError(w.t, err)
	config.ConnConfig.RuntimeParams["search_path"] = schema
	w.database, err = pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(w.t, err)
	w.t.Cleanup(w.database.Close)
	require.NoError(w.t, oracle.RecordTransitions(w.t.Context(), w.database))
}

func newClient(t *testing.T, namespace string) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme, wfv1.AddToScheme} {
		require.NoError(t, add(scheme))
	}
	cluster, err := client.New(local.Config, client.Options{Scheme: scheme})
	require.NoError(t, err)
	return client.NewNamespacedClient(cluster, namespace)
}

// start starts the controller; it is stopped, gracefully, when the test ends.
func (w *world) start() {
	w.t.Helper()
	controller, err := local.StartController(w.t.Context(), w.options())
	require.NoError(w.t, err)
	w.controller = controller
	w.t.Cleanup(func() { require.NoError(w.t, controller.Stop()) })
}

// options are how the controller runs: built with the race detector, and ended by
// the first race that it finds.
func (w *world) options() env.ControllerOptions {
	return env.ControllerOptions{
		Binary: "penstock-race", DatabaseURL: w.url, Env: append([]string{"GORACE=halt_on_error=1"}, w.settings...),
	}
}

// judge waits until nothing is under way, and asks the oracle.
func (w *world) judge() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	require.NoError(w.t, oracle.Quiesce(ctx, w.database, w.cluster))
	oracle.Check(w.t, oracle.World{Database: w.database, Clusters: []client.Reader{w.cluster}, AuditLog: local.AuditLog})
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		require.NoError(w.t, w.cluster.Create(w.t.Context(), object), "create %T %s", object, object.GetName())
	}
}

// build creates a CiBuild of a pipeline.
func (w *world) build(name, pipeline string) {
	w.t.Helper()
	w.create(&v1alpha1.CiBuild{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha1.CiBuildSpec{PipelineRef: v1alpha1.PipelineReference{Name: pipeline}, Revision: "main"},
	})
}

// finish patches a build's status as an external CI does.
func (w *world) finish(build string, phase v1alpha1.BuildPhase, images ...string) {
	w.t.Helper()
	var artifacts []string
	for _, image := range images {
		artifacts = append(artifacts, fmt.Sprintf(`{"image":%q,"digest":%q}`, image, digest))
	}
	patch := fmt.Sprintf(`{"status":{"phase":%q,"artifacts":[%s]}}`, phase, strings.Join(artifacts, ","))
	object := &v1alpha1.CiBuild{ObjectMeta: metav1.ObjectMeta{Name: build}}
	require.NoError(w.t, w.cluster.Status().Patch(w.t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))))
}

func (w *world) succeed(build string) {
	w.t.Helper()
	w.finish(build, v1alpha1.BuildSucceeded, "app:1")
}

// eventually waits until the state of the world is as told.
func (w *world) eventually(what string, is func(context.Context) bool) {
	w.t.Helper()
	err := wait.PollUntilContextTimeout(w.t.Context(), look, patience, true, func(ctx context.Context) (bool, error) {
		return is(ctx), nil
	})
	require.NoError(w.t, err, "never came: %s", what)
}

// count runs a query that yields one number; -1 while the database does not answer.
func (w *world) count(query string, args ...any) int {
	count := -1
	if err := w.database.QueryRow(w.t.Context(), query, args...).Scan(&count); err != nil {
		return -1
	}
	return count
}

// rowsAre waits until so many stages are in a status.
func (w *world) rowsAre(want int, status string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%d rows %s", want, status), func(context.Context) bool {
		return w.count(`SELECT count(*) FROM cd_workflow_runner WHERE status = $1`, status) == want
	})
}

// decided returns what was decided for a pipeline, as outcome/reason.
func (w *world) decided(pipeline string) string {
	var decision string
	_ = w.database.QueryRow(w.t.Context(),
		`SELECT outcome || '/' || reason FROM trigger_decision WHERE pipeline = $1 ORDER BY id DESC LIMIT 1`, pipeline).Scan(&decision)
	return decision
}

func (w *world) decidedIs(pipeline, want string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s decided %s", pipeline, want), func(context.Context) bool { return w.decided(pipeline) == want })
}

// workflows returns the Workflows that Penstock made.
func (w *world) workflows() []wfv1.Workflow {
	w.t.Helper()
	var list wfv1.WorkflowList
	require.NoError(w.t, w.cluster.List(w.t.Context(), &list, client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}))
	return list.Items
}

// writes counts the controller's successful writes in this namespace so far.
func (w *world) writes() int {
	w.t.Helper()
	events, err := env.ReadAudit(local.AuditLog)
	require.NoError(w.t, err)
	count := 0
	for _, event := range events {
		switch event.Verb {
		case "create", "update", "patch", "delete":
			if event.User == string(env.Penstock) && event.Namespace == w.namespace {
				count++
			}
		}
	}
	return count
}

func ciPipeline(name string) *v1alpha1.CiPipeline {
	return &v1alpha1.CiPipeline{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// child is a CdPipeline below CiPipeline "app" that runs the template "deploy".
func child(name string, change ...func(*v1alpha1.CdPipeline)) *v1alpha1.CdPipeline {
	pipeline := &v1alpha1.CdPipeline{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.CdPipelineSpec{
			ParentRef: v1alpha1.ParentReference{Kind: v1alpha1.ParentCiPipeline, Name: "app"},
			Deploy:    *stage("deploy"),
		},
	}
	for _, apply := range change {
		apply(pipeline)
	}
	return pipeline
}

func stage(template string) *v1alpha1.StageSpec {
	return &v1alpha1.StageSpec{Workflow: v1alpha1.WorkflowSpec{TemplateRef: v1alpha1.TemplateReference{Name: template}}}
}

func below(parent string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) {
		pipeline.Spec.ParentRef = v1alpha1.ParentReference{Kind: v1alpha1.ParentCdPipeline, Name: parent}
	}
}

func runs(template string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Deploy = *stage(template) }
}

func filter(expression string) func(*v1alpha1.CdPipeline) {
	return func(pipeline *v1alpha1.CdPipeline) { pipeline.Spec.Filter = expression }
}

// template needs no pod: Argo's controller finishes it by itself.
func template(name, duration string) *wfv1.WorkflowTemplate {
	return &wfv1.WorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: wfv1.WorkflowSpec{Entrypoint: "main", Templates: []wfv1.Template{{
			Name: "main", Suspend: &wfv1.SuspendTemplate{Duration: duration},
		}}},
	}
}

// podTemplate runs a container; kwok ends it, badly where there is an exit code.
func podTemplate(name, exitCode string) *wfv1.WorkflowTemplate {
	main := wfv1.Template{Name: "main", Container: &corev1.Container{Image: "any", Command: []string{"deploy"}}}
	if exitCode != "" {
		main.Metadata.Labels = map[string]string{"penstock.dev/test-exit-code": exitCode}
	}
	return &wfv1.WorkflowTemplate{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       wfv1.WorkflowSpec{Entrypoint: "main", Templates: []wfv1.Template{main}},
	}
}
