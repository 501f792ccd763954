package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// policies puts the policies and roles of config/admission and config/requests in force, once for
// all scenes.
var policies = sync.OnceValue(func() error {
	if _, err := local.Kubectl(context.Background(), "apply", "-k", filepath.Join("..", "config", "admission")); err != nil {
		return err
	}
	return local.InstallRequests(context.Background())
})

// newCounter is a scene with the admission policies, and returns the path of RunRequests in a
// new namespace.
func newCounter(t *testing.T, environ map[string]string) (s *scene, namespace, path string) {
	t.Helper()
	require.NoError(t, policies())
	namespace = local.NewNamespace(t)
	return newScene(t, options{environ: environ}), namespace, "/api/v1/namespaces/" + namespace + "/runrequests"
}

// triggerer returns somebody who may trigger in a namespace, and a token of theirs.
func (s *scene) triggerer(t testing.TB, namespace string, audiences ...string) (user, token string) {
	t.Helper()
	home, name := s.person(t)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, "penstock-triggerer", namespace)
	user = "system:serviceaccount:" + home + ":" + name
	s.awaitTrigger(t, user, namespace)
	return user, s.token(home, name, audiences...)
}

func (s *scene) awaitTrigger(t testing.TB, user, namespace string) {
	t.Helper()
	s.awaitRight(t, user, authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "create", Resource: "runrequests", Namespace: namespace})
	s.awaitRight(t, user, authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "trigger", Resource: "cdpipelines", Namespace: namespace})
}

const triggersWeb = `{"name":%q,"spec":{"action":"Trigger","pipelineRef":{"name":"web"},"buildRef":{"name":"b1"},"reason":"once more"}}`

func TestARunRequestIsCreatedWithTheCallersToken(t *testing.T) {
	t.Parallel()
	s, namespace, path := newCounter(t, nil)
	user, token := s.triggerer(t, namespace)
	var first, again rest.RunRequest
	s.post(t, token, path, fmt.Sprintf(triggersWeb, "go")).into(t, &first)
	require.Equal(t, rest.RunRequestSpec{
		Action: "Trigger", PipelineRef: &rest.NameReference{Name: "web"}, BuildRef: &rest.NameReference{Name: "b1"}, Reason: "once more", By: user,
	}, first.Spec)
	require.Equal(t, []string{"go", namespace}, []string{first.Name, first.Namespace})
	s.post(t, token, path, fmt.Sprintf(triggersWeb, "go")).into(t, &again)
	require.Equal(t, first, again, "the same is asked once")
	require.Contains(t, s.post(t, token, path, strings.Replace(fmt.Sprintf(triggersWeb, "go"), "once more", "again", 1)).detail(t, http.StatusConflict),
		"RunRequest go exists in namespace "+namespace+", and asks for something else: take another name")

	var unnamed, another rest.RunRequest
	body := strings.Replace(fmt.Sprintf(triggersWeb, "go"), `"name":"go",`, "", 1)
	s.post(t, token, path, body).into(t, &unnamed)
	s.post(t, token, path, body).into(t, &another)
	require.Regexp(t, `^web-trigger-\w+$`, unnamed.Name)
	require.NotEqual(t, unnamed.Name, another.Name)
	require.Contains(t, s.log.String(), `\"ownToken\"=true`)

	_, err := local.Kubectl(t.Context(), "-n", namespace, "patch", "runrequest", "go", "--subresource=status", "--type=merge", "-p",
		`{"status":{"phase":"Done","run":7,"message":"run 7 was made of build b1","at":"2026-05-17T12:00:00Z"}}`)
	require.NoError(t, err)
	s.post(t, token, path, fmt.Sprintf(triggersWeb, "go")).into(t, &again)
	require.Equal(t, "Done", again.Status.Phase)
	require.EqualValues(t, 7, again.Status.Run)
	require.Equal(t, "run 7 was made of build b1", again.Status.Message)
}

func TestARunRequestOfACallerWithoutATokenIsCreatedByTheServer(t *testing.T) {
	t.Parallel()
	s, namespace, path := newCounter(t, nil)
	group := "deployers-of-" + namespace
	s.bind(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: group}, "penstock-triggerer", namespace)
	ada, bob := s.newClient(clientCA.issue("ada", []string{group})), s.newClient(clientCA.issue("bob", nil))
	send := func(client *http.Client, body string) answer {
		return s.send(t, client, http.MethodPost, path, strings.NewReader(body), "Content-Type", "application/json")
	}
	require.Eventually(t, func() bool { return send(ada, fmt.Sprintf(triggersWeb, "ready")).status == http.StatusOK }, patience, look)
	var made rest.RunRequest
	send(ada, fmt.Sprintf(triggersWeb, "go")).into(t, &made)
	require.Equal(t, "ada", made.Spec.By)
	require.Contains(t, send(bob, fmt.Sprintf(triggersWeb, "bobs")).detail(t, http.StatusForbidden), `user "bob" may not create runrequests.penstock.dev in namespace `+namespace)
	resume := strings.Replace(fmt.Sprintf(triggersWeb, "approve"), "Trigger", "Resume", 1)
	require.Contains(t, send(ada, resume).detail(t, http.StatusForbidden),
		`user "ada" may not resume cdpipelines.penstock.dev of web in namespace `+namespace+": ask an administrator for that right (ClusterRole penstock-approver has it)")
	others := strings.Replace(fmt.Sprintf(triggersWeb, "for-bob"), `"reason"`, `"by":"bob","reason"`, 1)
	require.Contains(t, send(ada, others).detail(t, http.StatusForbidden), `user "ada" may not requestforothers cdpipelines.penstock.dev of web`)
	require.Contains(t, s.log.String(), `\"ownToken\"=false`)
}

func TestATokenForTheServerAloneIsNoTokenForTheAPIServer(t *testing.T) {
	t.Parallel()
	s, namespace, path := newCounter(t, map[string]string{"SERVER_TOKEN_AUDIENCES": "penstock"})
	user, token := s.triggerer(t, namespace, "penstock")
	var made rest.RunRequest
	s.post(t, token, path, fmt.Sprintf(triggersWeb, "go")).into(t, &made)
	require.Equal(t, user, made.Spec.By)
	require.Contains(t, s.log.String(), `\"ownToken\"=false`)
}

func TestARunRequestThatIsWrongNamesTheField(t *testing.T) {
	t.Parallel()
	s, namespace, path := newCounter(t, nil)
	_, token := s.triggerer(t, namespace)
	for sentence, test := range map[string]struct {
		body     string
		status   int
		location string
		says     string
	}{
		"an action that is none":        {`{"spec":{"action":"Deploy","pipelineRef":{"name":"web"}}}`, http.StatusUnprocessableEntity, "body.spec.action", "Trigger"},
		"no spec":                       {`{"name":"go"}`, http.StatusUnprocessableEntity, "body", "spec"},
		"a field that is unknown":       {`{"spec":{"action":"Rollback","pipeline":"web"}}`, http.StatusUnprocessableEntity, "body.spec.pipeline", "unexpected property"},
		"a name that is none":           {`{"name":"A b","spec":{"action":"Rollback","pipelineRef":{"name":"web"}}}`, http.StatusUnprocessableEntity, "body.name", "a name of an object"},
		"a run that is none":            {`{"spec":{"action":"Cancel","pipelineRef":{"name":"web"},"run":0}}`, http.StatusUnprocessableEntity, "body.spec.run", ">= 1"},
		"a trigger without a build":     {`{"spec":{"action":"Trigger","pipelineRef":{"name":"web"}}}`, http.StatusUnprocessableEntity, "body.spec.buildRef", "the action Trigger needs buildRef"},
		"a rollback of a build":         {`{"spec":{"action":"Rollback","pipelineRef":{"name":"web"},"buildRef":{"name":"b1"}}}`, http.StatusUnprocessableEntity, "body.spec", "remove buildRef and run"},
		"neither a pipeline nor a kind": {`{"spec":{"action":"Rollback"}}`, http.StatusUnprocessableEntity, "body.spec", "set exactly one of pipelineRef and target"},
		"no JSON":                       {`action=Trigger`, http.StatusBadRequest, "", ""},
		"a reason that is too long":     {`{"spec":{"action":"Rollback","pipelineRef":{"name":"web"},"reason":"` + strings.Repeat("x", 1025) + `"}}`, http.StatusUnprocessableEntity, "body.spec.reason", "1024"},
		"a body of 10 MiB":              {`{"spec":{"action":"Rollback","pipelineRef":{"name":"` + strings.Repeat("x", 10<<20) + `"}}}`, http.StatusRequestEntityTooLarge, "", "at most"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := s.post(t, token, path, test.body)
			require.Equal(t, test.status, got.status, string(got.body))
			var problem struct {
				Errors []struct{ Location, Message string }
			}
			require.NoError(t, json.Unmarshal(got.body, &problem))
			if test.location == "" {
				require.Contains(t, string(got.body), test.says)
				return
			}
			for _, one := range problem.Errors {
				if one.Location == test.location && strings.Contains(one.Message, test.says) {
					return
				}
			}
			require.Fail(t, "the field is not named", "%s", got.body)
		})
	}
	require.Contains(t, s.post(t, token, "/api/v1/namespaces/nowhere/runrequests", fmt.Sprintf(triggersWeb, "go")).detail(t, http.StatusForbidden), "in namespace nowhere")
}
