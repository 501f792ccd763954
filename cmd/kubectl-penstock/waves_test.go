package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
)

// shore is a namespace with base images, and a person who may read and steer their waves.
type shore struct {
	plugin

	rows      *store.Store
	namespace string
}

func newShore(t *testing.T) *shore {
	t.Helper()
	s := &shore{plugin: person(t, false), namespace: local.NewNamespace(t)}
	mayReadAndRequest(t, s.plugin, s.namespace)
	var err error
	s.rows, err = store.Open(t.Context(), store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(s.rows.Close)
	return s
}

// mayReadAndRequest lets a person read a namespace and create RunRequests there, and waits until that is
// known. What a request may ask for is tested with the policy of config/admission.
func mayReadAndRequest(t *testing.T, p plugin, namespace string) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	_, err = kube.RbacV1().Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "requests"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"runrequests"}, Verbs: []string{"create", "get", "list", "watch"}},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for kind, role := range map[string]string{"ClusterRole": "penstock-reader", "Role": "requests"} {
		_, err = kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: p.home, Name: "person"}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for resource, verb := range map[string]string{"cibuilds": "list", "runrequests": "create"} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + p.home + ":person",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: verb, Resource: resource, Namespace: namespace},
		}}
		require.Eventually(t, func() bool {
			answered, err := kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			return err == nil && answered.Status.Allowed
		}, patience, 20*time.Millisecond)
	}
}

// run is in the shore's namespace.
func (s *shore) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	return s.plugin.run(t, append(args, "-n", s.namespace)...)
}

// exec changes the rows as the controller does.
func (s *shore) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := s.rows.Pool().Exec(t.Context(), strings.ReplaceAll(statement, "{ns}", s.namespace))
	require.NoError(t, err)
}

// waves writes a wave that has stopped.
func (s *shore) waves(t *testing.T) {
	t.Helper()
	s.exec(t, `INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, wave) VALUES ('{ns}/java', '{ns}', 'java', 'example.org/java:17', 'example.org/java', '17', 2)`)
	s.exec(t, `INSERT INTO wave (image_uid, number, digest, state, message, ended_at) VALUES
		('{ns}/java', 1, 'sha256:1', 'Succeeded', '', now()), ('{ns}/java', 2, 'sha256:2', 'Stopped', 'too many', NULL)`)
	s.exec(t, `INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, state, message, ended_at) VALUES
		('{ns}/java', 2, '1', '{ns}', 'api', 'api-w2', 'Failed', 'build api-w2 ended as Failed', now()), ('{ns}/java', 2, '2', '{ns}', 'old', 'old-w2', 'Skipped', 'the CiPipeline is suspended', now()),
		('{ns}/java', 2, '3', '{ns}', 'web', 'web-w2', 'Pending', '', NULL), ('{ns}/java', 2, '4', 'elsewhere', 'web', 'web-w2', 'Pending', '', NULL)`)
}

func TestWavesAreListedAndShown(t *testing.T) {
	t.Parallel()
	s := newShore(t)
	s.waves(t)
	code, out, errOut := s.run(t, "waves")
	require.Zero(t, code, errOut)
	require.Equal(t, "NAMESPACE | NAME | WAVE | STATE | PROGRESS | FAILED | SKIPPED | DIGEST\n"+s.namespace+" | java | 2 | Stopped | 2/4 | 1 | 1 | sha256:2", columns(out, 8))
	code, out, errOut = s.run(t, "waves", "--history", "-o", "wide")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "PENDING")
	require.Contains(t, out, "too many")
	require.Len(t, strings.Split(strings.TrimSpace(out), "\n"), 3)
	code, out, errOut = s.run(t, "waves", "--history", "--limit", "1", "-o", "name")
	require.Zero(t, code, errOut)
	require.Equal(t, "baseimage/java\n", out)
	require.Contains(t, errOut, "There are more waves")
	code, out, errOut = s.run(t, "waves", "--state", "Running")
	require.Zero(t, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "No BaseImage in namespace "+s.namespace+" has had such a wave.")

	var shown rest.WaveDetail
	require.Eventually(t, func() bool { // the server learns of the namespace
		code, out, errOut = s.run(t, "waves", "java", "-o", "json")
		return code == 0 && json.Unmarshal([]byte(out), &shown) == nil && len(shown.Items) == 3
	}, patience, 100*time.Millisecond)
	require.Equal(t, "Wave 2 of BaseImage java is Stopped: 2/4 ended, 1 failed, 1 skipped. Why: too many.\n1 CiPipelines are in namespaces in which you may not list cibuilds.\n", errOut)
	code, out, errOut = s.run(t, "waves", "java", "--state", "Failed")
	require.Zero(t, code, errOut)
	require.Equal(t, "NAMESPACE | PIPELINE | BUILD | STATE | WHY\n"+s.namespace+" | api | api-w2 | Failed | build api-w2 ended as Failed", columns(out, -1))
	code, out, errOut = s.run(t, "waves", "java", "-o", "name")
	require.Zero(t, code, errOut)
	require.Equal(t, "cibuild/api-w2\ncibuild/old-w2\ncibuild/web-w2\n", out)
	code, out, errOut = s.run(t, "waves", "java", "--wave", "1", "-o", "yaml")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "digest: sha256:1")
}

func TestAWatchOfAWavePrintsWhatChangesUntilTheWaveHasEnded(t *testing.T) {
	t.Parallel()
	s := newShore(t)
	s.waves(t)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer close(ended)
		select {
		case <-ctx.Done():
		case <-time.After(wavesInterval / 2): // between the first two looks
		}
		_, _ = s.rows.Pool().Exec(ctx, `UPDATE wave SET state = 'Cancelled', message = 'by ann', ended_at = now() WHERE image_uid = $1 AND number = 2`, s.namespace+"/java")
	}()
	code, out, errOut := s.run(t, "waves", "java", "--watch", "--state", "Failed")
	<-ended
	require.Zero(t, code, errOut)
	require.Contains(t, errOut, "is Stopped: ")
	require.Contains(t, errOut, "is Cancelled: 2/4 ended, 1 failed, 1 skipped. Why: by ann.")
	require.LessOrEqual(t, strings.Count(out, "PIPELINE"), 3, "what has not changed is not printed again")
}

// answers gives the first request of a namespace the answer of a controller.
func (s *shore) answers(t *testing.T, status v1alpha1.RunRequestStatus) (answered chan v1alpha1.RunRequest) {
	t.Helper()
	admin, err := clientOfCluster(local.Config)
	require.NoError(t, err)
	answered = make(chan v1alpha1.RunRequest, 1)
	ctx := t.Context()
	go func() {
		defer close(answered)
		for ctx.Err() == nil {
			var list v1alpha1.RunRequestList
			if admin.List(ctx, &list, client.InNamespace(s.namespace)) == nil && len(list.Items) > 0 {
				request := list.Items[0]
				request.Status = status
				if admin.Status().Update(ctx, &request) == nil {
					answered <- request
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return answered
}

func TestAWaveIsSteeredByARunRequestOfTheUsersOwn(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		args   []string
		answer v1alpha1.RunRequestStatus
		spec   v1alpha1.RunRequestSpec
		code   int
		out    string
		says   string
	}{
		"a wave goes on": {
			[]string{"resume", "java", "--reason", "the registry is back"}, v1alpha1.RunRequestStatus{Phase: v1alpha1.RequestDone, Message: "wave 2 goes on"},
			v1alpha1.RunRequestSpec{Action: v1alpha1.ActionResume, Reason: "the registry is back"}, 0, "wave 2 goes on\n", "",
		},
		"a wave is given up": {
			[]string{"stop", "baseimage/java"}, v1alpha1.RunRequestStatus{Phase: v1alpha1.RequestDone, Message: "wave 2 is given up"},
			v1alpha1.RunRequestSpec{Action: v1alpha1.ActionCancel}, 0, "wave 2 is given up\n", "",
		},
		"a wave that has ended": {
			[]string{"stop", "java"}, v1alpha1.RunRequestStatus{Phase: v1alpha1.RequestRefused, Message: "wave 2 has ended"},
			v1alpha1.RunRequestSpec{Action: v1alpha1.ActionCancel}, exitFailed, "", "error: refused: wave 2 has ended\n",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newShore(t)
			answered := s.answers(t, test.answer)
			code, out, errOut := s.run(t, append([]string{"wave"}, test.args...)...)
			require.Equal(t, test.code, code, errOut)
			require.Equal(t, test.out, out)
			require.Equal(t, test.says, errOut)
			request := <-answered
			test.spec.By = "system:serviceaccount:" + s.home + ":person"
			test.spec.Target = &v1alpha1.ObjectReference{Kind: "BaseImage", Name: "java"}
			require.Equal(t, test.spec, request.Spec)
		})
	}
}

func TestWhatIsWrongWithAskingForWaves(t *testing.T) {
	t.Parallel()
	s, nobody := newShore(t), person(t, false)
	for sentence, test := range map[string]struct {
		by   plugin
		args []string
		code int
		want string
	}{
		"a right to read that is missing":   {nobody, []string{"waves"}, exitRefused, "may not list baseimages.penstock.dev in namespace " + s.namespace},
		"a wave that one may not read":      {nobody, []string{"waves", "java"}, exitRefused, "may not get baseimages.penstock.dev/waves of java"},
		"a right to steer that is missing":  {nobody, []string{"wave", "stop", "java"}, exitRefused, "cannot create resource"},
		"a base image that has had no wave": {s.plugin, []string{"waves", "jvaa"}, exitFailed, "wave of BaseImage jvaa in namespace " + s.namespace},
		"a state that is not known":         {s.plugin, []string{"waves", "--state", "Odd"}, exitUsage, "query.state"},
		"a name with all namespaces":        {s.plugin, []string{"waves", "java", "-A"}, exitUsage, "leave java out"},
		"a number without a name":           {s.plugin, []string{"waves", "--wave", "2"}, exitUsage, "--wave needs the name of a BaseImage"},
		"no name":                           {s.plugin, []string{"wave", "stop"}, exitUsage, "kubectl penstock wave stop BASEIMAGE"},
		"a command with a typing error":     {s.plugin, []string{"wave", "resmue"}, exitUsage, `did you mean "resume"?`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := test.by.run(t, append(test.args, "-n", s.namespace)...)
			require.Equal(t, test.code, code, errOut)
			require.Empty(t, out, "errors are for stderr")
			require.Contains(t, errOut, test.want)
		})
	}
}
