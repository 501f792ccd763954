package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// shop is a scene with one build that has succeeded, and the token of who may read it.
func shop(t *testing.T) (s *scene, namespace, base, token string) {
	t.Helper()
	s = newScene(t, options{})
	namespace = local.NewNamespace(t)
	below := family(namespace, "api", "web")
	suspended := family(namespace, "old")
	suspended[0].Spec.Suspend = true
	s.plan(t, namespace, "b1", append(below, suspended...))
	token = s.reader(t, namespace)
	s.awaitShown(t, token)
	return s, namespace, "/api/v1/namespaces/" + namespace, token
}

func TestListApplications(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	require.NoError(t, s.rows.MirrorCdPipelines(t.Context(), []store.MirroredCdPipeline{
		{UID: "1", Namespace: namespace, Name: "alone", SpecHash: "1", ParentKind: "CiPipeline", ParentName: "ci"},
		{UID: "2", Namespace: "elsewhere", Name: "other", Application: "other", SpecHash: "1", ParentKind: "CiPipeline", ParentName: "ci"},
	}))
	var list rest.ApplicationList
	s.get(t, token, base+"/applications").into(t, &list)
	require.Equal(t, rest.ApplicationList{Items: []rest.Application{
		{Name: "alone", CdPipelines: 1, Environments: []string{}},
		{Name: "shop", CiPipelines: 1, CdPipelines: 3, Environments: []string{"staging"}},
	}}, list, "a pipeline without an application is one of its own")

	var first, second rest.ApplicationList
	s.get(t, token, base+"/applications?limit=1").into(t, &first)
	s.get(t, token, base+"/applications?limit=1&cursor="+first.Next).into(t, &second)
	require.Equal(t, list.Items, append(first.Items, second.Items...))
	require.Empty(t, second.Next)
}

func TestGetStatus(t *testing.T) {
	t.Parallel()
	s, _, base, token := shop(t)
	s.submit(t)
	var status rest.ApplicationStatus
	s.get(t, token, base+"/applications/shop/status").into(t, &status)
	require.Nil(t, status.CI.Error)
	require.Nil(t, status.CD.Error)
	require.Len(t, status.CI.Pipelines, 1)
	require.Equal(t, given.CI, status.CI.Pipelines[0].Name)
	require.Equal(t, "b1", status.CI.Pipelines[0].LastBuild.Name)
	require.Equal(t, rest.RunCounts{Total: 2, Active: 2}, status.CI.Pipelines[0].LastBuild.Runs)
	require.Len(t, status.CD.Pipelines, 3)
	web := status.CD.Pipelines[2]
	require.Equal(t, "web", web.Name)
	require.Equal(t, "staging", web.Environment)
	require.Equal(t, "b1", web.LastRun.Build)
	require.Equal(t, "DEPLOY", web.LastRun.Stage)
	require.Equal(t, "Submitted", web.LastRun.State)
	require.NotEmpty(t, web.LastRun.WorkflowName)
	require.Equal(t, "Triggered", web.LastDecision.Outcome)
	require.Empty(t, web.Deployed)
	old := status.CD.Pipelines[1]
	require.True(t, old.Suspended)
	require.Nil(t, old.LastRun)
	require.Equal(t, string(v1alpha1.ReasonSuspended), old.LastDecision.Reason)

	require.Contains(t, s.get(t, token, base+"/applications/nothing/status").detail(t, http.StatusNotFound), "no CiPipeline and no CdPipeline of application nothing")
}

func TestListBuilds(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	for i := 2; i <= 5; i++ {
		s.plan(t, namespace, fmt.Sprintf("b%d", i), nil)
	}
	names := func(path string) (names []string, next string) {
		var list rest.BuildList
		s.get(t, token, path).into(t, &list)
		for _, build := range list.Items {
			names = append(names, build.Name)
		}
		return names, list.Next
	}
	all, _ := names(base + "/builds")
	require.Equal(t, []string{"b5", "b4", "b3", "b2", "b1"}, all)
	for query, want := range map[string]int{
		"?application=shop": 5, "?pipeline=ci": 5, "?application=shop&pipeline=ci&phase=Succeeded": 5,
		"?application=other": 0, "?pipeline=other": 0, "?phase=Failed": 0, "?application=shop&pipeline=other": 0,
	} {
		got, _ := names(base + "/builds" + query)
		require.Len(t, got, want, query)
	}
	for _, filter := range []string{"", "&application=shop"} {
		var paged []string
		next := ""
		for {
			page, after := names(base + "/builds?limit=2" + filter + "&cursor=" + next)
			paged = append(paged, page...)
			if next = after; next == "" {
				break
			}
		}
		require.Equal(t, all, paged)
	}
	var list rest.BuildList
	s.get(t, token, base+"/builds?limit=1").into(t, &list)
	require.Equal(t, "shop", list.Items[0].Application)
	require.Len(t, list.Items[0].Artifacts, 1)
	require.NotNil(t, list.Items[0].PlannedAt)
}

func TestGetBuild(t *testing.T) {
	t.Parallel()
	s, _, base, token := shop(t)
	s.submit(t)
	var whole rest.BuildDetail
	s.get(t, token, base+"/builds/b1").into(t, &whole)
	require.Equal(t, "b1", whole.Build.Name)
	require.Len(t, whole.Decisions, 3)
	require.Len(t, whole.Runs, 2)
	require.Equal(t, "Submitted", whole.Runs[0].Stages[0].State)
	require.NotNil(t, whole.Runs[0].Stages[0].SubmittedAt)
	require.Empty(t, whole.Next)
	var told []string
	for _, event := range whole.Events {
		if event.Pipeline == "web" {
			told = append(told, event.Kind+" "+event.State)
		}
	}
	require.Equal(t, []string{"Task Pending", "Decision Triggered", "Task Submitted"}, told, "in order")

	paged := rest.BuildDetail{}
	next := ""
	for pages := 0; ; pages++ {
		require.Less(t, pages, 20)
		var page rest.BuildDetail
		s.get(t, token, base+"/builds/b1?limit=1&cursor="+next).into(t, &page)
		paged.Decisions, paged.Runs, paged.Events = append(paged.Decisions, page.Decisions...), append(paged.Runs, page.Runs...), append(paged.Events, page.Events...)
		if next = page.Next; next == "" {
			break
		}
	}
	require.Equal(t, whole.Decisions, paged.Decisions)
	require.Equal(t, whole.Runs, paged.Runs)
	require.Equal(t, whole.Events, paged.Events)
	require.Contains(t, s.get(t, token, base+"/builds/b9").detail(t, http.StatusNotFound), "b9")
}

func TestListRunsAndGetRun(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	s.plan(t, namespace, "b2", family(namespace, "web"))
	var list, first, second rest.RunList
	s.get(t, token, base+"/pipelines/web/runs").into(t, &list)
	require.Len(t, list.Items, 2)
	require.Equal(t, []string{"b2", "b1"}, []string{list.Items[0].Build, list.Items[1].Build})
	s.get(t, token, base+"/pipelines/web/runs?limit=1").into(t, &first)
	s.get(t, token, base+"/pipelines/web/runs?limit=1&cursor="+first.Next).into(t, &second)
	require.Equal(t, list.Items, append(first.Items, second.Items...))
	require.Contains(t, s.get(t, token, base+"/pipelines/gone/runs").detail(t, http.StatusNotFound), "gone")

	var detail rest.RunDetail
	s.get(t, token, fmt.Sprintf("%s/runs/%d", base, list.Items[0].ID)).into(t, &detail)
	require.Equal(t, list.Items[0], detail.Run)
	require.Equal(t, namespace, detail.Namespace)
	require.NotEmpty(t, detail.Events)
	for _, event := range detail.Events {
		require.Equal(t, detail.ID, event.Run)
	}
	s.get(t, token, base+"/runs/0").detail(t, http.StatusUnprocessableEntity)
	s.get(t, token, base+"/runs/first").detail(t, http.StatusUnprocessableEntity)
}

func TestListQueue(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	urgent := family(namespace, "urgent")
	urgent[0].Spec.Priority = 100
	held := family(namespace, "held")
	held[0].Spec.Hold = true
	s.plan(t, namespace, "b2", append(urgent, held...))
	pipelines := func(query string) (names []string, queue rest.Queue) {
		s.get(t, token, "/api/v1/queue"+query).into(t, &queue)
		for _, task := range queue.Items {
			names = append(names, task.Pipeline)
		}
		return names, queue
	}
	names, queue := pipelines("")
	require.Equal(t, []string{"urgent", "api", "web"}, names, "in the order in which they are served")
	require.EqualValues(t, 3, queue.Counts.Pending)
	require.EqualValues(t, 1, queue.Counts.Held)
	require.NotNil(t, queue.Counts.Oldest)
	var paged []string
	for next := ""; ; {
		page, queue := pipelines("?limit=1&cursor=" + next)
		paged = append(paged, page...)
		if next = queue.Next; next == "" {
			break
		}
	}
	require.Equal(t, names, paged)
	names, queue = pipelines("?state=Held")
	require.Equal(t, []string{"held"}, names)
	require.Equal(t, "Hold", queue.Items[0].Reason)
	s.submit(t)
	names, queue = pipelines("?state=Submitted")
	require.Len(t, names, 3)
	require.Equal(t, rest.QueueCounts{Held: 1, Active: 3}, queue.Counts)
}

func TestListEvents(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	s.settled(t, token, namespace)
	list := func(query string) (events []rest.Event) {
		next := ""
		for {
			var page rest.EventList
			s.get(t, token, "/api/v1/events?namespace="+namespace+query+"&cursor="+next).into(t, &page)
			events = append(events, page.Items...)
			if next = page.Next; next == "" {
				return events
			}
		}
	}
	all := list("")
	require.NotEmpty(t, all)
	for i := 1; i < len(all); i++ {
		require.Greater(t, all[i-1].ID, all[i].ID, "the newest first; all are of one transaction or in its order")
	}
	require.Equal(t, all, list("&limit=1"))
	require.Equal(t, all, list("&build=b1"))
	require.Equal(t, all, list("&build=b1&limit=1"))
	for _, event := range list("&pipeline=web&kind=Task") {
		require.Equal(t, "web Task", event.Pipeline+" "+event.Kind)
	}
	require.Contains(t, s.get(t, token, "/api/v1/events?build=b1").detail(t, http.StatusBadRequest), "name it")
}

func TestACursorOfAnotherQueryIsRefused(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	s.plan(t, namespace, "b2", nil)
	var builds rest.BuildList
	s.get(t, token, base+"/builds?limit=1").into(t, &builds)
	require.NotEmpty(t, builds.Next)
	for path, detail := range map[string]string{
		base + "/builds?phase=Succeeded&cursor=" + builds.Next: "another query",
		base + "/applications?cursor=" + builds.Next:           "another query",
		base + "/pipelines/web/runs?cursor=" + builds.Next:     "another query",
		"/api/v1/queue?cursor=" + builds.Next:                  "another query",
		"/api/v1/events?cursor=" + builds.Next:                 "another query",
		"/api/v1/events?watch=true&cursor=" + builds.Next:      "another query",
		base + "/builds?cursor=nonsense":                       "not one of this server",
		base + "/builds?cursor=bm9uc2Vuc2U":                    "not one of this server",
	} {
		require.Contains(t, s.get(t, token, path).detail(t, http.StatusBadRequest), detail, path)
	}
}

func TestAnAnswerThatTheCallerHasIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	first := s.get(t, token, base+"/builds")
	tag := first.header.Get("ETag")
	require.NotEmpty(t, tag)
	again := s.get(t, token, base+"/builds", "If-None-Match", tag)
	require.Equal(t, http.StatusNotModified, again.status)
	require.Empty(t, again.body)
	s.plan(t, namespace, "b2", nil)
	require.Equal(t, http.StatusOK, s.get(t, token, base+"/builds", "If-None-Match", tag).status)
}

func TestTheDocumentDescribesEveryEndpoint(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	got := s.get(t, "", "/openapi.json")
	require.Equal(t, http.StatusOK, got.status, "it is for everybody")
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Summary   string
			Responses map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(got.body, &document))
	require.True(t, strings.HasPrefix(document.OpenAPI, "3.1"), document.OpenAPI)
	for _, path := range []string{
		"/api/v1/namespaces/{namespace}/applications", "/api/v1/namespaces/{namespace}/applications/{application}/status",
		"/api/v1/namespaces/{namespace}/builds", "/api/v1/namespaces/{namespace}/builds/{name}",
		"/api/v1/namespaces/{namespace}/pipelines/{name}/runs", "/api/v1/namespaces/{namespace}/runs/{id}", "/api/v1/queue", "/api/v1/events",
		"/api/v1/namespaces/{namespace}/notifications", "/api/v1/namespaces/{namespace}/notifications/{id}",
		"/api/v1/waves", "/api/v1/namespaces/{namespace}/baseimages/{name}/waves/{number}",
	} {
		require.NotEmpty(t, document.Paths[path]["get"].Summary, path)
		require.Contains(t, document.Paths[path]["get"].Responses, "200", path)
		require.Contains(t, document.Paths[path]["get"].Responses, "403", path)
	}
	require.NotContains(t, string(got.body), `"$schema"`)
}
