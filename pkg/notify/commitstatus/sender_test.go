package commitstatus

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/test/loopback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const commit = "0123456789abcdef0123456789abcdef01234567"

var noon = time.Unix(1795694400, 0)

func message() notify.Message {
	return notify.Message{
		ID: "ntf_1", Level: notify.Failure, Title: "shop: 97 of 100 deployed, 3 failed", URL: "https://penstock.example.org/builds/team/shop-1",
		Subject: notify.Subject{Repository: "https://git.example.org/team/shop.git", Revision: commit, Environment: "production", Pipeline: "web"},
	}
}

type received struct {
	path   string
	header http.Header
	body   map[string]string
}

func send(t *testing.T, host Host, change func(*notify.Message), answer func(http.ResponseWriter)) (got []received, err error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one := received{path: r.Method + " " + r.URL.EscapedPath(), header: r.Header}
		text, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(text, &one.body); err != nil {
			t.Error(err)
		}
		got = append(got, one)
		answer(w)
	}))
	defer server.Close()
	told := message()
	if change != nil {
		change(&told)
	}
	_, err = New(Config{Client: loopback.Client(t), Host: host, API: server.URL + "/", Token: "token-secret", Now: func() time.Time { return noon }}).Send(t.Context(), told, "")
	return got, err
}

func created(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) }

// docs.github.com/en/rest/commits/statuses: the states are error, failure, pending and success.
func TestAStatusAtGitHub(t *testing.T) {
	t.Parallel()
	for level, state := range map[notify.Level]string{notify.Info: "pending", notify.Success: "success", notify.Failure: "failure"} {
		got, err := send(t, GitHub, func(m *notify.Message) { m.Level = level }, created)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "POST /repos/team/shop/statuses/"+commit, got[0].path)
		require.Equal(t, "Bearer token-secret", got[0].header.Get("Authorization"))
		require.Equal(t, map[string]string{
			"state": state, "context": "penstock/production/web", "description": "shop: 97 of 100 deployed, 3 failed",
			"target_url": "https://penstock.example.org/builds/team/shop-1",
		}, got[0].body)
	}
}

// docs.gitlab.com/api/commits: pending, running, success, failed, canceled and skipped.
func TestAStatusAtGitLab(t *testing.T) {
	t.Parallel()
	for level, state := range map[notify.Level]string{notify.Info: "running", notify.Success: "success", notify.Failure: "failed"} {
		got, err := send(t, GitLab, func(m *notify.Message) {
			m.Level, m.Subject.Repository = level, "git@git.example.org:group/sub/shop.git"
		}, created)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, "POST /projects/group%2Fsub%2Fshop/statuses/"+commit, got[0].path)
		require.Equal(t, "token-secret", got[0].header.Get("Private-Token"))
		require.Equal(t, state, got[0].body["state"])
		require.Equal(t, "penstock/production/web", got[0].body["name"])
	}
}

func TestARunThatWasEndedIsNeitherPendingNorFailed(t *testing.T) {
	t.Parallel()
	for host, state := range map[Host]string{GitHub: "error", GitLab: "canceled"} {
		got, err := send(t, host, func(m *notify.Message) { m.Type, m.Level = "RunCancelled", notify.Info }, created)
		require.NoError(t, err)
		require.Equal(t, state, got[0].body["state"])
	}
}

func TestALongTitleIsCut(t *testing.T) {
	t.Parallel()
	got, err := send(t, GitHub, func(m *notify.Message) { m.Title = strings.Repeat("ü", 200) }, created)
	require.NoError(t, err)
	require.LessOrEqual(t, len(got[0].body["description"]), maxDescription)
}

func TestWhatNamesNoCommitIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*notify.Message){
		"a short revision":              func(m *notify.Message) { m.Subject.Revision = "0123456" },
		"a branch":                      func(m *notify.Message) { m.Subject.Revision = "main" },
		"no repository":                 func(m *notify.Message) { m.Subject.Repository = "" },
		"a host alone":                  func(m *notify.Message) { m.Subject.Repository = "https://git.example.org/" },
		"a repository without an owner": func(m *notify.Message) { m.Subject.Repository = "https://git.example.org/shop" },
		"a path that climbs":            func(m *notify.Message) { m.Subject.Repository = "https://git.example.org/team/../../admin" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := send(t, GitHub, change, created)
			var refused *notify.RefusedError
			require.ErrorAs(t, err, &refused)
			require.Empty(t, got)
		})
	}
}

func TestAQuestionMarkInARepositoryStaysInThePath(t *testing.T) {
	t.Parallel()
	got, err := send(t, GitHub, func(m *notify.Message) { m.Subject.Repository = "git@host:team/shop?x#y" }, created)
	require.NoError(t, err)
	require.Equal(t, "POST /repos/team/shop%3Fx%23y/statuses/"+commit, got[0].path)
}

func TestAnAnswerIsFinalOrNot(t *testing.T) {
	t.Parallel()
	answer := func(status int, header, value, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("X-RateLimit-Reset", "1795694460")
			w.Header().Set(header, value)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := map[string]struct {
		host   Host
		answer func(http.ResponseWriter)
		want   string
	}{
		"set already":                {GitLab, answer(400, "X", "", `{"message":"Cannot transition status via :drop from :failed"}`), ""},
		"another state is there":     {GitLab, answer(400, "X", "", `{"message":"Cannot transition status via :drop from :success"}`), "refused: 400"},
		"GitHub's rate limit":        {GitHub, answer(403, "X-RateLimit-Remaining", "0", ""), "try again after 1m0s"},
		"GitHub's secondary limit":   {GitHub, answer(429, "Retry-After", "60", ""), "try again after 1m0s"},
		"a token without the right":  {GitHub, answer(403, "X-RateLimit-Remaining", "4999", "Resource not accessible"), "refused: 403 Forbidden: Resource not accessible"},
		"a commit that is not there": {GitHub, answer(422, "X", "", "No commit found for SHA"), "refused: 422 Unprocessable Entity: No commit found for SHA"},
		"a server that fails":        {GitHub, answer(502, "X", "", ""), "failed: 502"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := send(t, test.host, nil, test.answer)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "token-secret")
		})
	}
}
