package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

// workshop is a namespace with the CiPipelines shop, suspended and elsewhere, and a person
// with a kubeconfig.
type workshop struct {
	admin      client.WithWatch
	namespace  string
	kubeconfig string
	user       string
}

// newWorkshop gives the person these rights.
func newWorkshop(t *testing.T, rules ...rbacv1.PolicyRule) *workshop {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	w := &workshop{admin: admin, namespace: local.NewNamespace(t)}
	w.user = "system:serviceaccount:" + w.namespace + ":ann"
	suspended := given.CiPipeline("suspended", given.Builds("build"), func(p *v1alpha1.CiPipeline) { p.Spec.Suspend = true })
	w.create(t, given.CiPipeline("shop", given.Builds("build")), suspended, given.CiPipeline("elsewhere"))
	w.create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ann"}})
	if len(rules) > 0 {
		w.create(t, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "ann"}, Rules: rules}, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "ann"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "ann"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: w.namespace, Name: "ann"}},
		})
	}
	w.kubeconfig = w.login(t)
	return w
}

func (w *workshop) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		object.SetNamespace(w.namespace)
		require.NoError(t, w.admin.Create(t.Context(), object))
	}
}

// login is a kubeconfig with a token of ann's.
func (w *workshop) login(t *testing.T) string {
	t.Helper()
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	got, err := kube.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), "ann", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return writeLogin(t, local.Config, got.Status.Token, w.namespace)
}

// writeLogin writes a kubeconfig with a token, and returns its path.
func writeLogin(t *testing.T, cluster *rest.Config, token, namespace string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: cluster.Host, CertificateAuthorityData: cluster.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"main": {Cluster: "c", AuthInfo: "u", Namespace: namespace}},
		CurrentContext: "main",
	}, path))
	return path
}

// run runs the command as ann.
func (w *workshop) run(ctx context.Context, args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = run(ctx, append(args, "--kubeconfig", w.kubeconfig), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func penstock(resource string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{resource}, Verbs: verbs}
}

// aBuilder has the rights of the ClusterRole penstock-builder.
func aBuilder() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		penstock("cibuilds", "create", "get", "list", "watch", "cancel", "retry"), penstock("cipipelines", "get", "list", "watch"), penstock("runrequests", "create", "get", "list", "watch"),
	}
}

func (w *workshop) builds(t *testing.T) []v1alpha1.CiBuild {
	t.Helper()
	var list v1alpha1.CiBuildList
	require.NoError(t, w.admin.List(t.Context(), &list, client.InNamespace(w.namespace)))
	return list.Items
}

// await returns once the API server knows ann's rights.
func (w *workshop) await(t *testing.T, resource string) {
	t.Helper()
	_, err := local.Kubectl(t.Context(), "--as", w.user, "-n", w.namespace, "auth", "can-i", "create", resource+".penstock.dev")
	for ; err != nil && t.Context().Err() == nil; _, err = local.Kubectl(t.Context(), "--as", w.user, "-n", w.namespace, "auth", "can-i", "create", resource+".penstock.dev") {
	}
}

func TestAPersonBuildsAPipeline(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, aBuilder()...)
	w.await(t, "cibuilds")
	code, out, errOut := w.run(t.Context(), "build", "shop", "--revision", "4f1c2d9", "--ref", "main", "--reason", "new compiler")
	require.Zero(t, code, errOut)
	builds := w.builds(t)
	require.Len(t, builds, 1)
	require.Equal(t, "cibuild/"+builds[0].Name+" created\n", out)
	require.True(t, strings.HasPrefix(builds[0].Name, "shop-"))
	require.Equal(t, v1alpha1.CiBuildSpec{
		PipelineRef: v1alpha1.PipelineReference{Name: "shop"}, Revision: "4f1c2d9", Ref: "main",
		Cause: &v1alpha1.BuildCause{Type: v1alpha1.CauseManual, By: w.user, Message: "new compiler"},
	}, builds[0].Spec)

	code, out, _ = w.run(t.Context(), "build", "shop", "-o", "name")
	require.Zero(t, code)
	require.Regexp(t, `^cibuild/shop-\w+\n$`, out)
	code, out, _ = w.run(t.Context(), "build", "shop", "-o", "json")
	require.Zero(t, code)
	require.Contains(t, out, `"kind": "CiBuild"`)
	code, _, errOut = w.run(t.Context(), "build", "suspended")
	require.Zero(t, code)
	require.Equal(t, "note: CiPipeline suspended is suspended: the build starts when spec.suspend is false\n", errOut)
}

func TestABuildThatCannotRunHereIsNotCreated(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, aBuilder()...)
	w.await(t, "cibuilds")
	for sentence, test := range map[string]struct {
		args []string
		code int
		want string
	}{
		"the pipeline does not exist":      {[]string{"build", "nobody"}, exitFailed, `there is no CiPipeline "nobody" in namespace ` + w.namespace + ": kubectl get cipipelines -n " + w.namespace + " lists them"},
		"its name is mistyped":             {[]string{"build", "shpo"}, exitFailed, `did you mean "shop"?`},
		"it has no workflow":               {[]string{"build", "elsewhere"}, exitFailed, "CiPipeline elsewhere has no spec.workflow: its builds run elsewhere, and whoever runs one creates a CiBuild and finishes it by a patch of its status: phase and artifacts"},
		"the revision would be evaluated":  {[]string{"build", "shop", "--revision", "{{x}}"}, exitFailed, "revision must hold neither {{ nor }}"},
		"no pipeline is named":             {[]string{"build"}, exitUsage, "accepts 1 arg(s), received 0"},
		"the output is of another kind":    {[]string{"build", "shop", "-o", "xml"}, exitUsage, "must be one of"},
		"a build to cancel is not named":   {[]string{"cancel"}, exitUsage, "accepts between 1 and 2 arg(s)"},
		"only the word build is given":     {[]string{"cancel", "build"}, exitUsage, "expected a name after build"},
		"another thing is to be cancelled": {[]string{"cancel", "wave", "w7"}, exitUsage, `"wave" is none of build, run and cdpipeline`},
		"a run has no number":              {[]string{"cancel", "run", "seven"}, exitUsage, `run "seven": expected the number of a run`},
		"a name is none":                   {[]string{"cancel", "cdpipeline/A b"}, exitUsage, `"A b" is no name of a pipeline`},
		"a kind is given twice":            {[]string{"cancel", "run", "cdpipeline/web"}, exitUsage, "expected the number of a run"},
		"a build has no stages":            {[]string{"retry", "b1", "--stage", "POST"}, exitUsage, "b1 is a build, and --build, --pipeline, --stage, --allow-older and --watch are about runs"},
		"a run is of one build":            {[]string{"retry", "7", "--build", "b1"}, exitUsage, "a run is of one build: leave out --build"},
		"a pipeline is named twice":        {[]string{"retry", "cdpipeline/web", "--pipeline", "web"}, exitUsage, "the pipeline is named twice"},
		"there is no such stage":           {[]string{"resume", "web", "--stage", "test"}, exitUsage, "--stage TEST: must be PRE, DEPLOY or POST"},
		"a build waits for nobody":         {[]string{"resume", "build", "b1"}, exitUsage, "a build does not wait for a person"},
		"a trigger needs a build":          {[]string{"trigger", "web"}, exitUsage, "name the build to run the pipeline for by --build"},
		"a freeze needs a reason":          {[]string{"freeze"}, exitUsage, "say by --reason why deployments are frozen"},
		"a freeze is over":                 {[]string{"freeze", "--reason", "x", "--until", "2020-01-01T00:00:00Z"}, exitUsage, "--until 2020-01-01T00:00:00Z: is over already"},
		"the end of a freeze is no time":   {[]string{"freeze", "--reason", "x", "--until", "noon"}, exitUsage, "must be a time such as 2026-12-27T08:00:00Z, or a duration such as 4h"},
		"a freeze has an odd namespace":    {[]string{"freeze", "--reason", "x", "-n", "A b"}, exitUsage, "FREEZE="},
		"a freeze has a long reason":       {[]string{"freeze", "--reason", strings.Repeat("x", 600)}, exitUsage, "at most 512 bytes"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := w.run(t.Context(), test.args...)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, errOut, test.want)
			require.Empty(t, out)
		})
	}
}

func TestAPersonWithoutTheRightIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, penstock("cipipelines", "get"))
	for sentence, args := range map[string][]string{
		"to build": {"build", "shop"}, "to cancel": {"cancel", "b1"}, "to retry": {"retry", "build", "b1"}, "to read pipelines": {"build", "shop", "-n", "default"},
	} {
		code, _, errOut := w.run(t.Context(), args...)
		require.Equal(t, exitRefused, code, sentence)
		require.Contains(t, errOut, "forbidden", sentence)
	}
	require.Empty(t, w.builds(t))
}

// answers plays the controller for the first RunRequest, and returns it.
func (w *workshop) answers(t *testing.T, phase v1alpha1.RunRequestPhase, message string) <-chan v1alpha1.RunRequest {
	t.Helper()
	seen := make(chan v1alpha1.RunRequest, 1)
	watching, err := w.admin.Watch(t.Context(), &v1alpha1.RunRequestList{}, client.InNamespace(w.namespace))
	require.NoError(t, err)
	t.Cleanup(watching.Stop)
	go func() {
		for event := range watching.ResultChan() {
			request, ok := event.Object.(*v1alpha1.RunRequest)
			if !ok || event.Type != watch.Added {
				continue
			}
			seen <- *request.DeepCopy()
			request.Status.Phase, request.Status.Message = phase, message
			if err := w.admin.Status().Update(context.WithoutCancel(t.Context()), request); err != nil {
				t.Errorf("answer: %v", err)
			}
			return
		}
	}()
	return seen
}

func TestAPersonCancelsABuildAndRetriesIt(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		args    []string
		action  v1alpha1.Action
		phase   v1alpha1.RunRequestPhase
		message string
		code    int
	}{
		"cancel with the word build":    {[]string{"cancel", "build", "b1", "--reason", "wrong branch"}, v1alpha1.ActionCancel, v1alpha1.RequestDone, "build b1 is cancelled", 0},
		"cancel without it":             {[]string{"cancel", "b1", "--reason", "wrong branch"}, v1alpha1.ActionCancel, v1alpha1.RequestDone, "build b1 is cancelled", 0},
		"a name as -o name prints it":   {[]string{"cancel", "cibuild/b1", "--reason", "wrong branch"}, v1alpha1.ActionCancel, v1alpha1.RequestDone, "build b1 is cancelled", 0},
		"retry":                         {[]string{"retry", "build", "b1", "--reason", "wrong branch"}, v1alpha1.ActionRetry, v1alpha1.RequestDone, "CiBuild b1-0a builds the same again", 0},
		"cancel what has ended already": {[]string{"cancel", "b1", "--reason", "wrong branch"}, v1alpha1.ActionCancel, v1alpha1.RequestRefused, "there is nothing to cancel", exitFailed},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t, aBuilder()...)
			w.await(t, "runrequests")
			seen := w.answers(t, test.phase, test.message)
			code, out, errOut := w.run(t.Context(), test.args...)
			require.Equal(t, test.code, code, errOut)
			if code == 0 {
				require.Equal(t, test.message+"\n", out)
			} else {
				require.Equal(t, "error: refused: "+test.message+"\n", errOut)
			}
			require.Equal(t, v1alpha1.RunRequestSpec{
				Action: test.action, Reason: "wrong branch", By: w.user, Target: &v1alpha1.ObjectReference{Kind: "CiBuild", Name: "b1"},
			}, (<-seen).Spec)
		})
	}
}

func TestWhoeverDoesNotWaitForTheAnswerIsToldWhereItWillBe(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, aBuilder()...)
	w.await(t, "runrequests")
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan struct{})
	watching, err := w.admin.Watch(t.Context(), &v1alpha1.RunRequestList{}, client.InNamespace(w.namespace))
	require.NoError(t, err)
	go func() {
		defer close(seen)
		<-watching.ResultChan()
		watching.Stop()
		cancel()
	}()
	code, _, errOut := w.run(ctx, "cancel", "b1")
	<-seen
	require.Equal(t, exitFailed, code)
	require.Regexp(t, `RunRequest b1-cancel-\w+ was created, and has no answer yet: kubectl -n `+w.namespace+` get runrequest b1-cancel-\w+ -o wide tells it`, errOut)
}

// follow runs build --watch, and has the build stand so, one after the other, each as soon as
// the one before was printed.
func (w *workshop) follow(t *testing.T, stands ...v1alpha1.CiBuildStatus) (code int, lines []string, errOut string) {
	t.Helper()
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := run(t.Context(), []string{"build", "shop", "--watch", "--kubeconfig", w.kubeconfig}, writer, &stderr)
		_ = writer.Close()
		ended <- code
	}()
	printed := make([]byte, 4096)
	for {
		n, err := reader.Read(printed)
		if errors.Is(err, io.EOF) {
			return <-ended, lines, stderr.String()
		}
		line := strings.TrimSuffix(string(printed[:n]), "\n")
		lines = append(lines, line)
		if strings.HasSuffix(line, "created") || len(stands) == 0 {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		build := &v1alpha1.CiBuild{}
		require.NoError(t, w.admin.Get(t.Context(), types.NamespacedName{Namespace: w.namespace, Name: name}, build))
		build.Status = stands[0]
		stands = stands[1:]
		require.NoError(t, w.admin.Status().Update(t.Context(), build))
	}
}

// condition is one of a build.
func condition(kind string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: "Any", LastTransitionTime: metav1.Now()}
}

func TestABuildIsWatchedUntilItsRunsHaveAWorkflow(t *testing.T) {
	t.Parallel()
	succeeded := func(triggered metav1.ConditionStatus, triggers v1alpha1.TriggerSummary) v1alpha1.CiBuildStatus {
		return v1alpha1.CiBuildStatus{
			Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(1), Triggers: &triggers,
			Conditions: []metav1.Condition{condition(v1alpha1.ConditionPlanned, metav1.ConditionTrue), condition(v1alpha1.ConditionTriggered, triggered)},
		}
	}
	running := v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildRunning}
	waits := v1alpha1.CiBuildStatus{Phase: v1alpha1.BuildPending, Reason: "Turn", Message: "another build\nhas its turn"}
	image := given.Artifact(0).Image
	for sentence, test := range map[string]struct {
		stands []v1alpha1.CiBuildStatus
		code   int
		lines  []string
		errOut string
	}{
		"it succeeds": {
			[]v1alpha1.CiBuildStatus{
				waits, running, {Phase: v1alpha1.BuildSucceeded, Artifacts: given.Artifacts(1)},
				succeeded("False", v1alpha1.TriggerSummary{Total: 2, Pending: 2, Progress: "0/2", Skipped: 1}), succeeded("True", v1alpha1.TriggerSummary{Total: 2, Progress: "2/2", Skipped: 1}),
			},
			0, []string{
				"Pending", "Pending/Turn: another build has its turn", "Running", "Succeeded " + image, "Succeeded " + image + ", triggered 0/2, skipped 1", "Succeeded " + image + ", triggered 2/2, skipped 1",
			}, "",
		},
		"it succeeds, and runs wait for a person": {
			[]v1alpha1.CiBuildStatus{succeeded("False", v1alpha1.TriggerSummary{Total: 2, Held: 1, Progress: "1/2"})},
			0, []string{"Pending", "Succeeded " + image + ", triggered 1/2, skipped 0"}, "1 runs wait for their turn or for a person: kubectl penstock builds ",
		},
		"it fails": {
			[]v1alpha1.CiBuildStatus{running, {Phase: v1alpha1.BuildFailed, Reason: "WorkflowFailed", Message: "tests failed"}},
			exitFailed, []string{"Pending", "Running", "Failed/WorkflowFailed: tests failed"}, "ended as Failed/WorkflowFailed",
		},
		"it is overtaken": {
			[]v1alpha1.CiBuildStatus{{Phase: v1alpha1.BuildCancelled, Reason: "Superseded"}},
			exitFailed, []string{"Pending", "Cancelled/Superseded"}, "ended as Cancelled/Superseded",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t, aBuilder()...)
			w.await(t, "cibuilds")
			code, lines, errOut := w.follow(t, test.stands...)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, errOut, test.errOut)
			name := w.builds(t)[0].Name
			want := []string{"cibuild/" + name + " created"}
			for _, line := range test.lines {
				want = append(want, name+" "+line)
			}
			require.Equal(t, want, lines)
		})
	}
}

func TestABuildThatIsDeletedWhileItIsWatchedIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t, aBuilder()...)
	w.await(t, "cibuilds")
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"build", "shop", "--watch", "--kubeconfig", w.kubeconfig}, writer, &stderr)
		_ = writer.Close()
	}()
	_, err := reader.Read(make([]byte, 4096))
	require.NoError(t, err)
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	build := w.builds(t)[0]
	require.NoError(t, w.admin.Delete(t.Context(), &build))
	require.Equal(t, exitFailed, <-ended)
	require.Contains(t, stderr.String(), `get CiBuild `+build.Name)
	require.Contains(t, stderr.String(), "not found")
}
