package server_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// theatre is a namespace with a run that waits for a person in web, one that has failed in api
// and one whose Workflow is being created in db, and a decision against old, all of build b1; build b2 runs, and
// wave 7 of java has stopped.
type theatre struct {
	*scene

	namespace string
}

func newTheatre(t *testing.T, environ map[string]string) *theatre {
	t.Helper()
	s, namespace, _ := newCounter(t, environ)
	below := family(namespace, "web", "api", "db", "old")
	given.ManualStage(trigger.StageDeploy)(&below[0])
	given.Suspended(&below[3])
	s.plan(t, namespace, "b1", below)
	require.NoError(t, s.rows.MirrorBuilds(t.Context(), []store.MirroredBuild{{
		UID: namespace + "/b2", Namespace: namespace, Name: "b2", CiPipeline: given.CI, Phase: "Running", SpecHash: "1", CreatedAt: time.Date(2024, 5, 17, 13, 0, 0, 0, time.UTC),
	}}))
	s.failOne(t, "api")
	s.waved(t, namespace, "java", 7, v1alpha1.WaveStopped, waveItem{namespace, "service", "Failed"})
	return &theatre{scene: s, namespace: namespace}
}

// failOne has the Workflow of a pipeline fail; those of others are being created.
func (s *scene) failOne(t testing.TB, pipeline string) {
	t.Helper()
	claims, err := s.rows.Claim(t.Context(), store.Lane{Kind: store.KindCd}, "w", 10, time.Hour)
	require.NoError(t, err)
	for _, claim := range claims {
		if claim.Owner.Name == pipeline {
			_, err = s.rows.Observe(t.Context(), []store.Observation{{
				Namespace: claim.Namespace, WorkflowName: claim.WorkflowName, WorkflowUID: "uid of " + claim.WorkflowName, Identity: claim.Identity,
				Status: store.StatusFailed, Reason: "WorkflowFailed",
			}})
			require.NoError(t, err)
		}
	}
	ended, err := s.rows.Unfollowed(t.Context(), 10, nil)
	require.NoError(t, err)
	require.Len(t, ended, 1)
	require.NoError(t, s.rows.Follow(t.Context(), []store.Consequence{{Ended: ended[0], Outcome: ended[0].Status}}))
}

// player returns somebody who may read the namespace, and has these roles there, at its page of
// a pipeline.
func (s *theatre) player(t *testing.T, roles ...string) (b *browser, user string) {
	t.Helper()
	home, name := s.person(t)
	user = "system:serviceaccount:" + home + ":" + name
	for _, role := range append(roles, "penstock-reader") {
		s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, role, s.namespace)
	}
	s.awaitRight(t, user, authorizationv1.ResourceAttributes{Group: v1alpha1.GroupVersion.Group, Verb: "list", Resource: "queue", Namespace: s.namespace})
	b = s.browser(t, "")
	b.signIn(t, s.token(home, name), "/settings")
	return b, user
}

var links = regexp.MustCompile(`<a class="button(?: small)?" href="([^"]*/actions/[^"]+)"[^>]*>([^<]+)</a>`)

// offers are the addresses of the actions of a page, by their labels, without and with the pipeline.
func (p page) offers() map[string]string {
	all := map[string]string{}
	for _, link := range links.FindAllStringSubmatch(p.text, -1) {
		address := html.UnescapeString(link[1])
		parsed, err := url.Parse(address)
		if err == nil {
			all[link[2]], all[link[2]+" "+parsed.Query().Get("pipeline")] = address, address
		}
	}
	return all
}

var (
	nonces = regexp.MustCompile(`name="nonce" value="([^"]+)"`)
	hidden = regexp.MustCompile(`name="(generation|seen|version)" value="([^"]+)"`)
)

// confirm sends the form of a confirmation. Pairs are what is filled in.
func (b *browser) confirm(t testing.TB, asked page, pairs ...string) page {
	t.Helper()
	require.Equal(t, http.StatusOK, asked.status, asked.text)
	nonce := nonces.FindStringSubmatch(asked.text)
	require.NotNil(t, nonce, asked.text)
	for _, field := range hidden.FindAllStringSubmatch(asked.text, -1) {
		pairs = append(pairs, field[1], field[2])
	}
	return b.send(t, asked, asked.address, append(pairs, "nonce", nonce[1])...)
}

// requests are the RunRequests of the theatre, as kubectl tells them.
func (s *theatre) requests(t testing.TB) string {
	t.Helper()
	out, err := local.Kubectl(t.Context(), "-n", s.namespace, "get", "runrequests", "-o",
		`jsonpath={range .items[*]}{.spec.action} {.spec.pipelineRef.name}{.spec.target.name} {.spec.buildRef.name} {.spec.stage} {.spec.allowOlder} by {.spec.by}: {.spec.reason}{"\n"}{end}`)
	require.NoError(t, err)
	return strings.TrimSpace(out)
}

// scripted is an action as people come to it.
type scripted struct {
	page, label string
	fill        []string
	// want is the RunRequest that is made, but for who asks.
	want string
	// role has the right.
	role string
}

func (s *theatre) script() map[string]scripted {
	web, api, db := "/pipelines/"+s.namespace+"/web", "/pipelines/"+s.namespace+"/api", "/pipelines/"+s.namespace+"/db"
	wave := "/images/" + s.namespace + "/java/7"
	build := "/builds/" + s.namespace + "/b1"
	return map[string]scripted{
		"approve a stage":                  {web, "Approve DEPLOY", []string{"reason", "QA has signed off"}, "Resume web  DEPLOY  by USER: QA has signed off", "penstock-approver"},
		"approve on the queue":             {"/queue?state=Held&namespace=" + s.namespace, "Approve DEPLOY web", []string{"reason", "QA has signed off"}, "Resume web  DEPLOY  by USER: QA has signed off", "penstock-approver"},
		"cancel what begins":               {db, "Cancel", []string{"reason", "wrong branch"}, "Cancel db    by USER: wrong branch", "penstock-triggerer"},
		"retry what has failed":            {api, "Retry", []string{"reason", "the registry is back"}, "Retry api    by USER: the registry is back", "penstock-triggerer"},
		"retry an older build":             {api, "Retry", []string{"allowOlder", "true"}, "Retry api   true by USER:", "penstock-triggerer"},
		"cancel from the build":            {build, "Cancel db", nil, "Cancel db    by USER:", "penstock-triggerer"},
		"trigger a build of a choice":      {web, "Trigger a build", []string{"build", "b1", "reason", "once more"}, "Trigger web b1   by USER: once more", "penstock-triggerer"},
		"trigger an older build":           {web, "Trigger a build", []string{"build", "b1", "allowOlder", "true"}, "Trigger web b1  true by USER:", "penstock-triggerer"},
		"trigger what was decided against": {build, "Trigger old", nil, "Trigger old b1   by USER:", "penstock-triggerer"},
		"roll back":                        {web, "Roll back", []string{"reason", "payments fail"}, "Rollback web    by USER: payments fail", "penstock-triggerer"},
		"resume a wave":                    {wave, "Resume the wave", []string{"reason", "the registry is back"}, "Resume java    by USER: the registry is back", "penstock-wave-operator"},
		"stop a wave":                      {wave, "Stop the wave", []string{"reason", "the image is broken"}, "Cancel java    by USER: the image is broken", "penstock-wave-operator"},
		"build again":                      {build, "Build again", nil, "Retry b1    by USER:", "penstock-builder"},
		"cancel a build":                   {"/builds/" + s.namespace + "/b2", "Cancel the build", nil, "Cancel b2    by USER:", "penstock-builder"},
	}
}

func TestWhoHasTheRightIsOfferedAnActionAndAsksForIt(t *testing.T) {
	t.Parallel()
	for sentence := range (&theatre{}).script() {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newTheatre(t, nil)
			one := s.script()[sentence]
			b, user := s.player(t, one.role)
			asked := b.open(t, b.open(t, one.page).offers()[one.label])
			require.Empty(t, s.requests(t), "to look changes nothing")
			told := b.confirm(t, asked, one.fill...)
			require.Equal(t, http.StatusOK, told.status, told.text)
			require.True(t, strings.HasPrefix(told.address, "/requests/"+s.namespace+"/"), told.address)
			require.Contains(t, told.text, "Penstock has not answered yet")
			require.Equal(t, strings.Replace(one.want, "USER", user, 1), s.requests(t))
			require.Contains(t, s.log.String(), `\"ownToken\"=true`)
		})
	}
}

func TestWhoLacksTheRightIsOfferedNothingAndRefusedInWords(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	allowed, _ := s.player(t, "penstock-approver", "penstock-triggerer", "penstock-builder", "penstock-wave-operator")
	denied, user := s.player(t)
	for sentence, one := range s.script() {
		address := allowed.open(t, one.page).offers()[one.label]
		require.NotEmpty(t, address, sentence)
		shown := denied.open(t, one.page)
		require.Empty(t, shown.offers(), sentence)
		for _, refused := range []page{denied.open(t, address), denied.send(t, shown, address, "nonce", "n")} {
			require.Equal(t, http.StatusForbidden, refused.status, sentence)
			require.Contains(t, refused.header.Get("Content-Type"), "text/html")
			require.Contains(t, refused.text, "You may not see or do this")
			require.Contains(t, html.UnescapeString(refused.text), `user "`+user+`" may not `)
			require.Contains(t, refused.text, "ClusterRole "+one.role+" has it")
		}
	}
	require.Empty(t, s.requests(t))
}

func TestTheRightToRetryIsNotTheRightToApprove(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	b, _ := s.player(t, "penstock-triggerer")
	offers := b.open(t, "/pipelines/"+s.namespace+"/web").offers()
	require.NotContains(t, offers, "Approve DEPLOY")
	refused := b.open(t, strings.Replace(offers["Cancel"], "/actions/cancel", "/actions/resume", 1)+"&stage=DEPLOY")
	require.Equal(t, http.StatusForbidden, refused.status)
	require.Contains(t, refused.text, "penstock-approver has it")
}

func TestAFormIsSentByItsOwnPageAloneAndCountsOnce(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	b, _ := s.player(t, "penstock-triggerer")
	asked := b.open(t, b.open(t, "/pipelines/"+s.namespace+"/db").offers()["Cancel"])
	nonce := nonces.FindStringSubmatch(asked.text)[1]
	stranger := s.browser(t, "").open(t, "/sign-in")
	good := url.Values{"csrf": {asked.token(t)}, "nonce": {nonce}}
	for sentence, refused := range map[string]page{
		"without a token":               b.sendForm(t, asked.address, url.Values{"nonce": {nonce}}),
		"with a wrong token":            b.sendForm(t, asked.address, url.Values{"nonce": {nonce}, "csrf": {"x"}}),
		"with the token of another":     b.sendForm(t, asked.address, url.Values{"nonce": {nonce}, "csrf": {stranger.token(t)}}),
		"from another site":             b.sendForm(t, asked.address, good, "Sec-Fetch-Site", "cross-site"),
		"from a site beside this one":   b.sendForm(t, asked.address, good, "Sec-Fetch-Site", "same-site"),
		"by a browser with Origin only": b.sendForm(t, asked.address, good, "Sec-Fetch-Site", "", "Origin", "https://evil.example"),
	} {
		require.Equal(t, http.StatusForbidden, refused.status, sentence)
		require.Contains(t, refused.text, "nothing was done", sentence)
	}
	require.Equal(t, http.StatusBadRequest, b.sendForm(t, asked.address, url.Values{"csrf": {asked.token(t)}}).status, "a form without its nonce")
	require.Empty(t, s.requests(t))

	first := b.confirm(t, asked)
	require.Equal(t, first.address, b.confirm(t, asked).address, "the second click leads to the same request")
	require.Len(t, strings.Split(s.requests(t), "\n"), 1)
	other := b.confirm(t, asked, "reason", "another")
	require.Equal(t, http.StatusConflict, other.status)
	require.Contains(t, other.text, "You have sent this form before")
	require.NotEqual(t, first.address, b.confirm(t, b.open(t, asked.address)).address, "a form that is loaded again asks again")
}

func TestAFormOfAnEndedSessionLeadsToTheSignInAndBack(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	b, _ := s.player(t, "penstock-triggerer")
	asked := b.open(t, b.open(t, "/pipelines/"+s.namespace+"/db").offers()["Cancel"])
	picky := newScene(t, options{environ: map[string]string{"SERVER_TOKEN_AUDIENCES": "https://other.example"}})
	b.address = picky.address // knows the session, but does not take its token
	ended := b.confirm(t, asked)
	require.Equal(t, "/sign-in?ended=true&next="+url.QueryEscape(asked.address), ended.address)
	require.Contains(t, ended.text, "Your session has ended")
	require.Empty(t, s.requests(t))
}

func TestAnActionThatTheStateDoesNotAllowIsRefusedInWords(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	b, _ := s.player(t, "penstock-triggerer")
	retry := strings.Replace(b.open(t, "/pipelines/"+s.namespace+"/db").offers()["Cancel"], "/cancel", "/retry", 1)
	late := b.open(t, retry)
	require.Equal(t, http.StatusConflict, late.status)
	require.Contains(t, late.text, "of db is Submitting: there is nothing to retry")
	for _, address := range []string{
		"/actions/destroy?namespace=" + s.namespace, "/actions/retry", strings.Replace(retry, "pipeline=db", "pipeline=web", 1), "/requests/" + s.namespace + "/none",
	} {
		require.Equal(t, http.StatusNotFound, b.open(t, address).status, address)
	}
}

func TestAWaveIsStoppedOnlyWhereItIsTheOneThatWasSeen(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	b, _ := s.player(t, "penstock-wave-operator")
	asked := b.open(t, b.open(t, "/images/"+s.namespace+"/java/7").offers()["Stop the wave"])
	s.waved(t, s.namespace, "java", 8, v1alpha1.WaveRunning)
	late := b.confirm(t, asked)
	require.Equal(t, http.StatusConflict, late.status)
	require.Contains(t, late.text, "Wave 8 of java has begun meanwhile")
	require.Equal(t, http.StatusConflict, b.open(t, asked.address).status)
	require.Empty(t, s.requests(t))
}

func TestWhoHasNotSignedInIsOfferedNothing(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, map[string]string{"DASHBOARD_ANONYMOUS": "true"})
	anonymous := rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "system:anonymous"}
	for _, role := range []string{"penstock-reader", "penstock-triggerer"} {
		s.bind(t, anonymous, role, s.namespace)
	}
	s.awaitTrigger(t, "system:anonymous", s.namespace)
	b := s.browser(t, "")
	shown := b.open(t, "/pipelines/"+s.namespace+"/db")
	require.Equal(t, http.StatusOK, shown.status)
	require.Empty(t, shown.offers())
	address := "/actions/cancel?namespace=" + s.namespace + "&pipeline=db&run=3"
	require.Contains(t, b.open(t, address).text, "<h1>Sign in</h1>")
	require.Contains(t, b.send(t, shown, address, "nonce", "n").text, "<h1>Sign in</h1>")
	require.Empty(t, s.requests(t))
}
