package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
)

// post sends JSON with a token.
func (s *scene) post(t testing.TB, token, path, body string) answer {
	t.Helper()
	return s.send(t, s.client, http.MethodPost, path, strings.NewReader(body), "Content-Type", "application/json", "Authorization", "Bearer "+token)
}

// told writes a notification as the controller does, and returns its id.
func (s *scene) told(t testing.TB, namespace, channel, group string, state route.State, items ...route.Item) (id int64) {
	t.Helper()
	encoded, err := json.Marshal(items)
	require.NoError(t, err)
	kind, refused, sentAt, due := "Test", "", (*time.Time)(nil), (*time.Time)(nil)
	if len(items) > 0 {
		kind = string(items[len(items)-1].Type)
	}
	now := time.Now()
	switch state {
	case route.GivenUp:
		refused = "the receiver answers 403: no_service"
	case route.Sent:
		sentAt = &now
	case route.Waiting:
		due = &now
	case route.Skipped:
	}
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), `
		INSERT INTO notification (namespace, policy, channel, group_key, type, items, events, state, error, attempts, due_at, sent_at)
		VALUES ($1, 'deploys', $2, $3, $4, $5, $6, $7, $8, 2, $9, $10) RETURNING id`,
		namespace, channel, group, kind, encoded, len(items), string(state), refused, due, sentAt).Scan(&id))
	return id
}

// notifier returns the token of somebody who may read, test and resend in a namespace.
func (s *scene) notifier(t testing.TB, namespace string) string {
	t.Helper()
	home, name := s.person(t)
	subject := rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}
	s.bind(t, subject, "penstock-reader", namespace)
	s.bind(t, subject, "penstock-notifier", namespace)
	for _, verb := range []string{"list", "update"} {
		s.awaitRight(t, "system:serviceaccount:"+home+":"+name, authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Verb: verb, Resource: "notifications", Namespace: namespace,
		})
	}
	return s.token(home, name)
}

func TestListAndGetNotifications(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	namespace, other := local.NewNamespace(t), local.NewNamespace(t)
	token := s.reader(t, namespace)
	base := "/api/v1/namespaces/" + namespace + "/notifications"
	failed := route.Item{Type: v1alpha1.EventRunFailed, At: time.Now(), Namespace: namespace, Pipeline: "web", Build: "b1", BuildUID: "uid", Run: 7, Stage: "DEPLOY", Reason: "WorkflowFailed"}
	done := route.Item{Type: v1alpha1.EventTriggersCompleted, At: time.Now(), Namespace: namespace, Build: "b1", BuildUID: "uid"}
	ids := []int64{
		s.told(t, namespace, "ops", "build/uid", route.Sent, failed, done),
		s.told(t, namespace, "ops", "pipeline/web", route.GivenUp, failed),
		s.told(t, namespace, "dev", "commit/uid/web", route.Waiting, failed, failed),
		s.told(t, namespace, "dev", "test/token", route.Skipped),
	}
	elsewhere := s.told(t, other, "ops", "pipeline/web", route.GivenUp, failed)
	list := func(query string) (got []int64, answer rest.NotificationList) {
		s.get(t, token, base+query).into(t, &answer)
		for _, item := range answer.Items {
			got = append(got, item.ID)
		}
		return got, answer
	}

	got, all := list("")
	require.Equal(t, []int64{ids[3], ids[2], ids[1], ids[0]}, got, "the newest first, of this namespace")
	require.Empty(t, all.Next)
	require.Equal(t, "build b1: 1 run failed, 1 build is done", all.Items[3].Title)
	require.Equal(t, "web: run 7 of build b1 failed at stage DEPLOY: WorkflowFailed", all.Items[2].Title)
	require.Equal(t, "web: run 7 of build b1 failed at stage DEPLOY: WorkflowFailed", all.Items[1].Title, "a commit's status is that of its last event")
	require.Equal(t, "Test", all.Items[0].Title)
	require.NotNil(t, all.Items[3].SentAt)
	require.Nil(t, all.Items[3].DueAt)
	require.NotNil(t, all.Items[1].DueAt)

	got, _ = list("?channel=ops")
	require.Equal(t, []int64{ids[1], ids[0]}, got)
	got, failures := list("?failed=true")
	require.Equal(t, []int64{ids[1]}, got)
	require.Equal(t, "the receiver answers 403: no_service", failures.Items[0].Error)
	var paged []int64
	for next := ""; ; {
		page, answer := list("?limit=1&cursor=" + next)
		paged = append(paged, page...)
		if next = answer.Next; next == "" {
			break
		}
	}
	require.Equal(t, []int64{ids[3], ids[2], ids[1], ids[0]}, paged)
	_, first := list("?limit=1")
	require.Contains(t, s.get(t, token, base+"?failed=true&cursor="+first.Next).detail(t, http.StatusBadRequest), "another query")

	var one rest.Notification
	s.get(t, token, fmt.Sprintf("%s/%d", base, ids[1])).into(t, &one)
	require.Equal(t, failures.Items[0], one)
	require.Contains(t, s.get(t, token, fmt.Sprintf("%s/%d", base, elsewhere)).detail(t, http.StatusNotFound), "not found", "that of another namespace")
	require.Contains(t, s.get(t, token, "/api/v1/namespaces/"+other+"/notifications").detail(t, http.StatusForbidden), "may not list notifications.penstock.dev in namespace "+other)
}

func TestPeopleWithTheRightTestChannelsAndResendNotifications(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	namespace := local.NewNamespace(t)
	base := "/api/v1/namespaces/" + namespace + "/notifications"
	reader, notifier := s.reader(t, namespace), s.notifier(t, namespace)
	id := s.told(t, namespace, "ops", "pipeline/web", route.GivenUp, route.Item{Type: v1alpha1.EventRunFailed})
	resend := fmt.Sprintf("%s/%d/resend", base, id)

	require.Contains(t, s.post(t, reader, base+"/test", `{"channel":"ops"}`).detail(t, http.StatusForbidden),
		"may not create notifications.penstock.dev in namespace "+namespace+": ask an administrator for that right (ClusterRole penstock-notifier has it)")
	require.Contains(t, s.post(t, reader, resend, "").detail(t, http.StatusForbidden), "may not update notifications.penstock.dev")
	var count int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM notification WHERE state <> 'GivenUp' OR id <> $1", id).Scan(&count))
	require.Zero(t, count, "who is refused changes nothing")

	var queued rest.NotificationQueued
	s.post(t, notifier, resend, "").into(t, &queued)
	require.Equal(t, id, queued.ID)
	var again rest.Notification
	s.get(t, notifier, fmt.Sprintf("%s/%d", base, id)).into(t, &again)
	require.Equal(t, "Waiting", again.State)
	require.NotNil(t, again.DueAt)
	require.Zero(t, again.Attempts)
	require.Contains(t, s.post(t, notifier, base+"/999999/resend", "").detail(t, http.StatusNotFound), "notification 999999 in namespace "+namespace)
	require.Contains(t, s.log.String(), "notification is sent again")

	s.post(t, notifier, base+"/test", `{"channel":"ops"}`).into(t, &queued)
	require.Greater(t, queued.ID, id)
	var test rest.Notification
	s.get(t, notifier, fmt.Sprintf("%s/%d", base, queued.ID)).into(t, &test)
	require.Equal(t, "Penstock: this is a test of the channel ops", test.Title)
	require.Equal(t, [3]string{"Test", "Waiting", "ops"}, [3]string{test.Type, test.State, test.Channel})
	s.post(t, notifier, base+"/test", `{"channel":""}`).detail(t, http.StatusUnprocessableEntity)
}

// failing is a scene with a build of which api has succeeded, and web has failed.
func failing(t *testing.T) (s *scene, namespace, path string, token string) {
	t.Helper()
	s, namespace, base, token := shop(t)
	claims, err := s.rows.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 10, time.Hour)
	require.NoError(t, err)
	for _, claim := range claims {
		observation := store.Observation{
			Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: "uid of " + claim.WorkflowName, Identity: claim.Identity, Status: store.StatusSucceeded,
		}
		if claim.Owner.Name == "web" {
			observation.Status, observation.Reason = store.StatusFailed, "WorkflowFailed"
		}
		_, err := s.rows.Observe(t.Context(), []store.Observation{observation})
		require.NoError(t, err)
	}
	ended, err := s.rows.Unfollowed(t.Context(), 10, nil)
	require.NoError(t, err)
	require.Len(t, ended, 2)
	for _, one := range ended {
		require.NoError(t, s.rows.Follow(t.Context(), []store.Consequence{{Ended: one, Outcome: one.Status}}))
	}
	return s, namespace, base + "/notifications/preview", token
}

func TestPreviewOfAPolicy(t *testing.T) {
	t.Parallel()
	s, _, path, token := failing(t)
	preview := func(policy string) (titles []string, answer rest.NotificationPreview) {
		s.post(t, token, path, `{"build":"b1","policy":`+policy+`}`).into(t, &answer)
		for _, message := range answer.Messages {
			titles = append(titles, message.Title)
		}
		return titles, answer
	}
	titles, answer := preview(`{"on":["RunFailed"],"channels":["ops","dev"]}`)
	require.Equal(t, []string{"shop (build b1): 1 of 2 deployed, 1 failed: web"}, titles)
	require.Equal(t, []string{"ops", "dev"}, answer.Channels)
	require.Empty(t, answer.Notes)
	require.Equal(t, "failure", answer.Messages[0].Level)
	require.Equal(t, "build/b1", answer.Messages[0].Group)
	require.Equal(t, "web", answer.Messages[0].Details[0].Name)
	require.Contains(t, answer.Messages[0].Details[0].Text, "stage DEPLOY ended as Failed: WorkflowFailed")

	titles, _ = preview(`{"on":["RunFailed","RunSucceeded"],"channels":["ops"],"group":{"by":"Pipeline","wait":"10s","interval":"5m"}}`)
	require.Len(t, titles, 2)
	require.Contains(t, strings.Join(titles, "\n"), "of build b1 failed at stage DEPLOY")
	titles, _ = preview(`{"on":["RunFailed"],"channels":["ops"],"template":{"title":"'deploy of ' + message.subject.build"}}`)
	require.Equal(t, []string{"deploy of b1"}, titles)
	titles, answer = preview(`{"on":["RunHeld"],"channels":["ops"]}`)
	require.Empty(t, titles)
	require.Len(t, answer.Notes, 1)
	require.Contains(t, answer.Notes[0], "nothing is told: spec.events is RunHeld, and what has happened is ")

	var count int
	require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM notification").Scan(&count))
	require.Zero(t, count, "nothing is sent")
}

func TestAPolicyThatCannotBeUsedIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	s, _, path, token := failing(t)
	for location, body := range map[string]string{
		"body.policy.filter":         `{"build":"b1","policy":{"on":["RunFailed"],"filter":"event.nothing == 1"}}`,
		"body.policy.template.title": `{"build":"b1","policy":{"on":["RunFailed"],"template":{"title":"message. +"}}}`,
		"body.policy.selector":       `{"build":"b1","policy":{"on":["RunFailed"],"selector":{"matchExpressions":[{"key":"a","operator":"Odd"}]}}}`,
		"body.policy.group.by":       `{"build":"b1","policy":{"on":["RunFailed"],"group":{"by":"Team"}}}`,
		"body.policy.events":         `{"build":"b1","policy":{"channels":["ops"]}}`,
		"body.policy":                `{"build":"b1","policy":{"on":["RunFailed"],"chanels":["ops"]}}`,
		"body.build":                 `{"build":"","policy":{"on":["RunFailed"]}}`,
	} {
		got := s.post(t, token, path, body)
		require.Equal(t, "validation failed", got.detail(t, http.StatusUnprocessableEntity), body)
		var told struct {
			Errors []struct{ Location, Message string }
		}
		require.NoError(t, json.Unmarshal(got.body, &told))
		require.Equal(t, location, told.Errors[0].Location)
		require.NotEmpty(t, told.Errors[0].Message)
	}
	for location, policy := range map[string]v1alpha1.NotificationPolicySpec{
		"body.policy.filter":         {Filter: strings.Repeat("true || ", 600) + "true"},
		"body.policy.template.title": {Template: v1alpha1.NotificationTemplate{Title: "'" + strings.Repeat("a", 4096) + "'"}},
	} {
		policy.Events = []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}
		body, err := json.Marshal(map[string]any{"build": "b1", "policy": policy})
		require.NoError(t, err)
		require.Contains(t, string(s.post(t, token, path, string(body)).body), `"message":"it is longer than 4096 bytes","location":"`+location+`"`)
	}
	require.Contains(t, s.post(t, token, path, `{"build":"b9","policy":{"on":["RunFailed"]}}`).detail(t, http.StatusNotFound), "b9")
	nobody := s.nobody(t)
	require.Contains(t, s.post(t, nobody, path, `{"build":"b1","policy":{"on":["RunFailed"],"filter":"nonsense("}}`).detail(t, http.StatusForbidden), "may not list notifications")
}

func TestPreviewsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s, proxy := newProxied(t)
	namespace := local.NewNamespace(t)
	s.plan(t, namespace, "b1", family(namespace, "web"))
	token := s.reader(t, namespace)
	path, body := "/api/v1/namespaces/"+namespace+"/notifications/preview", `{"build":"b1","policy":{"on":["RunFailed"],"channels":["ops"]}}`
	require.Equal(t, http.StatusOK, s.post(t, token, path, body).status)
	proxy.Stall()
	answers := make(chan string)
	const asked = 6
	for range asked {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+s.address+path, strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		go func() {
			response, err := s.client.Do(request)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			answers <- response.Status + string(text)
		}()
	}
	busy := 0
	for range asked {
		text := <-answers
		require.Contains(t, text, "503 Service Unavailable")
		if strings.Contains(text, "other previews are under way") {
			busy++
		}
	}
	require.Equal(t, asked-4, busy, "four wait for the database, and the others for nothing")
	proxy.Resume()
	require.Eventually(t, func() bool { return s.post(t, token, path, body).status == http.StatusOK }, patience, 100*time.Millisecond)
}
