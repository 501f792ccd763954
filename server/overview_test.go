package server_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store"
)

// overview asks for the list of applications, and returns them in short.
func (s *scene) overview(t testing.TB, token string, query url.Values) (got []string, answer rest.Overview) {
	t.Helper()
	s.get(t, token, "/api/v1/applications?"+query.Encode()).into(t, &answer)
	for _, item := range answer.Items {
		got = append(got, item.Name+" "+item.State)
	}
	return got, answer
}

// fail has the run of one task of the queue end as Error.
func (s *scene) fail(t testing.TB) {
	t.Helper()
	claims, err := s.rows.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 1000, time.Hour)
	require.NoError(t, err)
	require.NotEmpty(t, claims)
	_, err = s.rows.Complete(t.Context(), "w", []store.Completion{{ID: claims[0].ID, Attempt: claims[0].Attempt, Status: store.StatusError, Reason: "Rejected", Message: "no quota"}})
	require.NoError(t, err)
	ended, err := s.rows.Unfollowed(t.Context(), 10, nil)
	require.NoError(t, err)
	require.Len(t, ended, 1)
	require.NoError(t, s.rows.Follow(t.Context(), []store.Consequence{{Ended: ended[0], Outcome: ended[0].Status}}))
}

func TestTheApplicationsOfAllNamespacesBeginWithWhatFails(t *testing.T) {
	t.Parallel()
	s, mine, _, token := shop(t)
	theirs := local.NewNamespace(t)
	s.fail(t)
	require.NoError(t, s.rows.MirrorCdPipelines(t.Context(), []store.MirroredCdPipeline{
		{UID: "1", Namespace: mine, Name: "alone", SpecHash: "1", ParentKind: "CiPipeline", ParentName: "none", Environment: "prod"},
		{UID: "2", Namespace: theirs, Name: "hidden", SpecHash: "1", ParentKind: "CiPipeline", ParentName: "none"},
	}))
	got, whole := s.overview(t, token, nil)
	require.Equal(t, []string{"shop Failing", "alone New"}, got, "of the namespaces that the caller may read")
	require.Equal(t, rest.OverviewCounts{Failing: 1, New: 1}, whole.Counts)
	shop := whole.Items[0]
	require.Equal(t, rest.ApplicationRuns{Failed: 1, Active: 1}, shop.Runs)
	require.EqualValues(t, 3, shop.CdPipelines)
	require.Equal(t, []string{"staging"}, shop.Environments)
	require.Equal(t, "b1", shop.LastBuild.Name)
	require.Nil(t, whole.Items[1].LastBuild)

	for name, test := range map[string]struct {
		query url.Values
		want  []string
	}{
		"a part of the name in any case":      {url.Values{"search": {"LON"}}, []string{"alone New"}},
		"a part of the namespace":             {url.Values{"search": {mine + "/sh"}}, []string{"shop Failing"}},
		"what is no pattern":                  {url.Values{"search": {"%"}}, nil},
		"an environment":                      {url.Values{"environment": {"prod"}}, []string{"alone New"}},
		"a state":                             {url.Values{"state": {"New"}}, []string{"alone New"}},
		"a state that none has, with figures": {url.Values{"state": {"OK"}}, nil},
	} {
		got, answer := s.overview(t, token, test.query)
		require.Equal(t, test.want, got, name)
		if test.query.Has("state") {
			require.Equal(t, whole.Counts, answer.Counts, name)
		}
	}
	first, page := s.overview(t, token, url.Values{"limit": {"1"}})
	require.Equal(t, []string{"shop Failing"}, first)
	second, page := s.overview(t, token, url.Values{"limit": {"1"}, "cursor": {page.Next}})
	require.Equal(t, []string{"alone New"}, second)
	require.Empty(t, page.Next)
	require.Equal(t, whole.Counts, page.Counts, "of all pages")

	require.Contains(t, s.get(t, token, "/api/v1/applications?namespace="+theirs).detail(t, http.StatusForbidden), "in namespace "+theirs)
}

func TestARunThatWaitsIsShownThoughANewerOneCameAfterIt(t *testing.T) {
	t.Parallel()
	s, namespace, base, token := shop(t)
	s.plan(t, namespace, "b2", family(namespace, "web"))
	for _, statement := range []string{
		`UPDATE task SET status = 'Held', reason = 'Person', message = 'ask QA' WHERE owner_name = 'web' AND inputs->>'build' = 'b1'`,
		`UPDATE task SET status = 'Succeeded', reason = '' WHERE owner_name = 'web' AND inputs->>'build' = 'b2'`,
		`UPDATE cd_workflow SET outcome = 'Succeeded' WHERE id = (SELECT last_run_id FROM cd_pipeline WHERE pipeline = 'web')`,
	} {
		_, err := s.rows.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	got, answer := s.overview(t, token, nil)
	require.Equal(t, []string{"shop Waiting"}, got)
	require.EqualValues(t, 1, answer.Items[0].Runs.Waiting)
	var status rest.ApplicationStatus
	s.get(t, token, base+"/applications/shop/status").into(t, &status)
	web := status.CD.Pipelines[2]
	require.Equal(t, []string{"b2", "Succeeded"}, []string{web.LastRun.Build, web.LastRun.State})
	require.Len(t, web.Waiting, 1)
	require.Equal(t, []string{"b1", "DEPLOY", "Held", "Person", "ask QA"}, []string{web.Waiting[0].Build, web.Waiting[0].Stage, web.Waiting[0].State, web.Waiting[0].Reason, web.Waiting[0].Message})
	require.Less(t, web.Waiting[0].ID, web.LastRun.ID)
	require.Empty(t, status.CD.Pipelines[1].Waiting)
}
