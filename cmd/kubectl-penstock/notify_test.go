package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// outbox is what the controller would send from, and a person who may use it.
type outbox struct {
	plugin

	rows      *store.Store
	namespace string
}

// newOutbox has a namespace of its own, with channels and policies.
func newOutbox(t *testing.T) *outbox {
	t.Helper()
	o := &outbox{plugin: person(t, false), namespace: local.NewNamespace(t)}
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	for _, role := range []string{"penstock-reader", "penstock-notifier"} {
		_, err = kube.RbacV1().RoleBindings(o.namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: o.home, Name: "person"}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for _, verb := range []string{"list", "update"} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + o.home + ":person",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: verb, Resource: "notifications", Namespace: o.namespace},
		}}
		require.Eventually(t, func() bool {
			answered, err := kube.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
			return err == nil && answered.Status.Allowed
		}, patience, 20*time.Millisecond)
	}
	o.rows, err = store.Open(t.Context(), store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 2, Namespaces: []string{o.namespace}})
	require.NoError(t, err)
	t.Cleanup(o.rows.Close)
	admin, err := clientOfCluster(local.Config)
	require.NoError(t, err)
	for name, suspend := range map[string]bool{"deploys": false, "quiet": true} {
		require.NoError(t, admin.Create(t.Context(), &v1alpha1.NotificationChannel{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: name},
			Spec:       v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelWebhook, Webhook: &v1alpha1.WebhookChannel{URL: "https://example.org/hook"}, Suspend: suspend},
		}))
	}
	return o
}

// run is in the outbox's namespace.
func (o *outbox) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	return o.plugin.run(t, append(args, "-n", o.namespace)...)
}

// deliver records for whatever is due, until ctx ends, what an attempt is said to have come to.
func (o *outbox) deliver(ctx context.Context, outcome store.Delivery) (ended chan error) {
	ended = make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			claimed, err := o.rows.ClaimNotifications(ctx, o.namespace, time.Minute, nil, 10)
			for _, notification := range claimed {
				outcome.Notification = notification
				err = o.rows.RecordDelivery(ctx, o.namespace, outcome)
			}
			if err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		ended <- nil
	}()
	return ended
}

func TestNotifyTestTellsWhatTheReceiverHasSaid(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		outcome store.Delivery
		code    int
		out     string
		says    string
	}{
		"accepted": {store.Delivery{State: route.Sent}, 0, "deploys | - | Sent | 0 | Penstock: this is a test of the channel deploys | -", ""},
		"refused":  {store.Delivery{State: route.GivenUp, Error: "Slack refuses the message: invalid_auth"}, exitFailed, "", "the test of NotificationChannel deploys failed: Slack refuses the message: invalid_auth"},
		"not reached": {
			store.Delivery{State: route.Waiting, Delay: time.Hour, Error: "connection refused"}, exitFailed, "",
			"was not sent within 2s: attempt 1 has failed, and Penstock tries again: connection refused",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			o := newOutbox(t)
			ctx, cancel := context.WithCancel(t.Context())
			ended := o.deliver(ctx, test.outcome)
			code, out, errOut := o.run(t, "notify", "test", "deploys", "--timeout", map[bool]string{true: "2s", false: "60s"}[test.outcome.State == route.Waiting])
			cancel()
			require.NoError(t, <-ended)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, errOut, test.says)
			if test.out == "" {
				require.Empty(t, out, "errors are for stderr")
				return
			}
			lines := strings.Split(columns(out, 5), "\n")
			require.Equal(t, "ID | CHANNEL | POLICY | STATE | ATTEMPTS | TITLE | ERROR", lines[0])
			require.Contains(t, lines[1], test.out)
		})
	}
}

func TestNotifyListsAndSendsAgain(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	code, out, errOut := o.run(t, "notify", "test", "deploys", "--no-wait", "-o", "name")
	require.Zero(t, code, errOut)
	name := strings.TrimSpace(out)
	require.Regexp(t, `^notification/\d+$`, name)
	code, out, errOut = o.run(t, "notify", "test", "deploys", "--no-wait")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "is to be sent: kubectl penstock notify deliveries -n "+o.namespace)

	code, out, errOut = o.run(t, "notify", "deliveries", "--failed")
	require.Zero(t, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "No such notifications in namespace "+o.namespace)
	claimed, err := o.rows.ClaimNotifications(t.Context(), "w", time.Minute, nil, 10)
	require.NoError(t, err)
	require.Equal(t, name, fmt.Sprintf("notification/%d", claimed[0].ID))
	require.NoError(t, o.rows.RecordDelivery(t.Context(), "w", store.Delivery{Notification: claimed[0], State: route.GivenUp, Error: "404"}))
	code, out, errOut = o.run(t, "notify", "deliveries", "--failed", "--channel", "deploys", "-o", "name")
	require.Zero(t, code, errOut)
	require.Equal(t, name+"\n", out)

	code, out, errOut = o.run(t, "notify", "resend", name)
	require.Zero(t, code, errOut)
	require.Equal(t, name+" is sent again\n", out)
	code, out, errOut = o.run(t, "notify", "deliveries", "-o", "json", "--limit", "1")
	require.Zero(t, code, errOut)
	require.Contains(t, errOut, "There are older notifications")
	var list rest.NotificationList
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	require.Len(t, list.Items, 1)
	code, out, errOut = o.run(t, "notify", "deliveries", "-o", "wide")
	require.Zero(t, code, errOut)
	require.Equal(t, "ID | CHANNEL | POLICY | STATE | ATTEMPTS | TITLE | ERROR | TYPE | EVENTS | DUE | SENT", strings.Split(columns(out, 5), "\n")[0])
	require.Equal(t, 2, strings.Count(out, "Waiting"), "the one that is sent again as well")
}

func TestNotifyTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	o, nobody := newOutbox(t), person(t, false)
	admin, err := clientOfCluster(local.Config)
	require.NoError(t, err)
	require.NoError(t, admin.Create(t.Context(), &v1alpha1.NotificationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "failures"},
		Spec:       v1alpha1.NotificationPolicySpec{Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Channels: []string{"deploys"}, Filter: "event.run >"},
	}))
	for sentence, test := range map[string]struct {
		by   plugin
		args []string
		code int
		want string
	}{
		"a channel with a typing error":      {o.plugin, []string{"test", "deplosy"}, exitFailed, `did you mean "deploys"?`},
		"a channel that is not there":        {o.plugin, []string{"test", "nothing-like-it"}, exitFailed, "kubectl get notificationchannels -n " + o.namespace + " lists them"},
		"a channel that is suspended":        {o.plugin, []string{"test", "quiet"}, exitFailed, "while its spec.suspend is true"},
		"a right that is missing":            {nobody, []string{"test", "deploys"}, exitRefused, "may not create notifications.penstock.dev"},
		"a wait for nothing":                 {o.plugin, []string{"test", "deploys", "--timeout", "0s"}, exitUsage, "--no-wait"},
		"a number that is none":              {o.plugin, []string{"resend", "last"}, exitUsage, `"last" is no number of a notification`},
		"a notification that is not there":   {o.plugin, []string{"resend", "999999"}, exitFailed, "notification 999999 in namespace " + o.namespace},
		"a command with a typing error":      {o.plugin, []string{"delivries"}, exitUsage, `did you mean "deliveries"?`},
		"a preview without a build":          {o.plugin, []string{"preview", "failures"}, exitUsage, "--build"},
		"a policy with a typing error":       {o.plugin, []string{"preview", "failrues", "--build", "b1"}, exitFailed, `did you mean "failures"?`},
		"a policy that may not be read":      {nobody, []string{"preview", "failures", "--build", "b1"}, exitRefused, "cannot get resource"},
		"a filter that can't be used":        {o.plugin, []string{"preview", "failures", "--build", "b1"}, exitFailed, "body.policy.filter: "},
		"a namespace that may not be listed": {nobody, []string{"deliveries"}, exitRefused, "may not list notifications.penstock.dev in namespace " + o.namespace},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := test.by.run(t, append([]string{"notify", "-n", o.namespace}, test.args...)...)
			require.Equal(t, test.code, code, errOut)
			require.Empty(t, out, "errors are for stderr")
			require.Contains(t, errOut, test.want)
		})
	}
}

func TestNotifyPreviewSendsThePolicyAndPrintsTheMessages(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	admin, err := clientOfCluster(local.Config)
	require.NoError(t, err)
	require.NoError(t, admin.Create(t.Context(), given.CdPipeline("web", given.InNamespace(o.namespace), func(p *v1alpha1.CdPipeline) {
		p.Labels = map[string]string{"team": "a", "other": "b"}
	})))
	policy := &v1alpha1.NotificationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "failures"},
		Spec:       v1alpha1.NotificationPolicySpec{Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Channels: []string{"deploys"}},
	}
	policy.Spec.Selector.MatchLabels = map[string]string{"team": "a"}
	require.NoError(t, admin.Create(t.Context(), policy))
	var got rest.NotificationPreviewRequest
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/namespaces/"+o.namespace+"/notifications/preview", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewDecoder(r.Body).Decode(&got)
		_ = json.NewEncoder(w).Encode(rest.NotificationPreview{Channels: []string{"deploys"}, Notes: []string{"something"}, Messages: []rest.NotificationMessage{{
			Group: "build/b1", Type: "RunFailed", Level: "failure", Title: "shop: 1 failed", Events: 2, Details: []rest.NotificationDetail{{Name: "web", Text: "failed"}},
		}}})
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	code, out, errOut := o.run(t, "notify", "preview", "failures", "--build", "b1", "-o", "wide", "--server", server.URL, "--server-ca", ca)
	require.Zero(t, code, errOut)
	require.Equal(t, "note: something\n", errOut)
	require.Equal(t, "GROUP | LEVEL | EVENTS | TITLE | TYPE | CHANNELS | DETAILS\nbuild/b1 | failure | 2 | shop: 1 failed | RunFailed | deploys | web: failed", columns(out, -1))
	require.Equal(t, "b1", got.Build)
	require.Equal(t, map[string]map[string]string{"cdpipelines/web": {"team": "a"}}, got.Labels, "no more than the policy selects by")
	var spec v1alpha1.NotificationPolicySpec
	require.NoError(t, json.Unmarshal(got.Policy, &spec))
	require.Equal(t, "a", spec.Selector.MatchLabels["team"])

	// The real server knows no such build.
	code, out, errOut = o.run(t, "notify", "preview", "failures", "--build", "b1")
	require.Equal(t, exitFailed, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "b1")
}

func TestNotifyPreviewOfABuildThatTellsNothing(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	admin, err := clientOfCluster(local.Config)
	require.NoError(t, err)
	policy := &v1alpha1.NotificationPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: given.Namespace, Name: "held"},
		Spec:       v1alpha1.NotificationPolicySpec{Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunHeld}, Channels: []string{"deploys"}},
	}
	require.NoError(t, admin.Create(t.Context(), policy))
	t.Cleanup(func() { require.NoError(t, admin.Delete(context.WithoutCancel(t.Context()), policy)) })
	code, out, errOut := p.run(t, "notify", "preview", "held", "--build", "shop-1", "-n", given.Namespace)
	require.Zero(t, code, errOut)
	require.Empty(t, out)
	require.Contains(t, errOut, "note: nothing is told: ")
	require.Contains(t, errOut, "NotificationPolicy held tells nothing of build shop-1.")
}
