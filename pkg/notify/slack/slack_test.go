package slack

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
	"github.com/penstock-cd/penstock/pkg/outbound"
	"github.com/penstock-cd/penstock/test/loopback"
	"github.com/penstock-cd/penstock/test/receiver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func message() notify.Message {
	return notify.Message{
		ID: "ntf_1", Version: 1, Type: "RunFailed", Level: notify.Failure, Title: "shop: 97 of 100 deployed, 3 failed",
		Details: []notify.Detail{{Name: "web-1", Text: "stage DEPLOY failed", URL: "https://penstock.example.org/builds/team/shop-1"}},
		Omitted: 2, Commands: []string{"kubectl penstock builds shop-1 -n team"}, URL: "https://penstock.example.org/apps/team/shop",
	}
}

// request is what Slack was sent.
type request struct {
	path, token, channel, at, text, metadata string
	blocks                                   []map[string]any
}

// fake is a Slack that requires what Slack publishes of its limits.
type fake struct {
	t        *testing.T
	requests chan request
	answer   func(request) (status int, body string)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got := request{path: r.URL.Path}
	var blocks string
	if strings.HasPrefix(r.URL.Path, "/services/") {
		var body struct {
			Text   string
			Blocks json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			f.t.Error(err)
		}
		got.text, blocks = body.Text, string(body.Blocks)
	} else {
		got.token, got.channel, got.at = r.FormValue("token"), r.FormValue("channel"), r.FormValue("ts")
		got.text, got.metadata, blocks = r.FormValue("text"), r.FormValue("metadata"), r.FormValue("blocks")
	}
	if err := json.Unmarshal([]byte(blocks), &got.blocks); err != nil {
		f.t.Errorf("blocks: %s: %s", err, blocks)
	}
	if err := receiver.CheckSlack(got.text, blocks); err != nil {
		f.t.Error(err)
	}
	f.requests <- got
	status, body := f.answer(got)
	w.Header().Set("Retry-After", "30")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func start(t *testing.T, answer func(request) (int, string)) (*fake, string, *outbound.Client) {
	t.Helper()
	f := &fake{t: t, requests: make(chan request, 20), answer: answer}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return f, server.URL, loopback.Client(t)
}

func bot(t *testing.T, answer func(request) (int, string)) (*fake, *Bot) {
	t.Helper()
	f, url, client := start(t, answer)
	return f, NewBot(BotConfig{Client: client, Token: "xoxb-secret", Channel: "#deploys", API: url + "/api/"})
}

func posted(request) (int, string) { return 200, `{"ok":true,"channel":"C1","ts":"17.1"}` }

func TestABotPostsOnceAndUpdatesWhatItPosted(t *testing.T) {
	t.Parallel()
	f, b := bot(t, posted)
	reference, err := b.Send(t.Context(), message(), "")
	require.NoError(t, err)
	require.Equal(t, "C1:17.1", reference)
	first := <-f.requests
	require.Equal(t, "/api/chat.postMessage", first.path)
	require.Equal(t, "#deploys", first.channel)
	require.Equal(t, "xoxb-secret", first.token)
	require.JSONEq(t, `{"event_type":"penstock_notification","event_payload":{"id":"ntf_1","version":1}}`, first.metadata)

	newer := message()
	newer.Version = 2
	reference, err = b.Send(t.Context(), newer, reference)
	require.NoError(t, err)
	require.Equal(t, "C1:17.1", reference)
	second := <-f.requests
	require.Equal(t, []string{"/api/chat.update", "C1", "17.1"}, []string{second.path, second.channel, second.at})
	require.Empty(t, f.requests)
}

func TestTheAPIOfASlackOfYourOwnNeedsNoSlashAtItsEnd(t *testing.T) {
	t.Parallel()
	f, url, client := start(t, posted)
	b := NewBot(BotConfig{Client: client, Token: "xoxb-secret", Channel: "#deploys", API: url + "/api"})
	_, err := b.Send(t.Context(), message(), "")
	require.NoError(t, err)
	require.Equal(t, "/api/chat.postMessage", (<-f.requests).path)
}

func TestAMessageThatIsGoneIsPostedAnew(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"message_not_found", "edit_window_closed", "cant_update_message"} {
		f, b := bot(t, func(r request) (int, string) {
			if r.path == "/api/chat.update" {
				return 200, `{"ok":false,"error":"` + code + `"}`
			}
			return posted(r)
		})
		reference, err := b.Send(t.Context(), message(), "C0:1.0")
		require.NoError(t, err)
		require.Equal(t, "C1:17.1", reference)
		require.Len(t, f.requests, 2)
	}
}

func TestAnAnswerIsFinalOrNot(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status       int
		answer, want string
	}{
		"not in the channel":        {200, `{"ok":false,"error":"not_in_channel"}`, "refused: slack: not_in_channel: invite the bot to the channel"},
		"a token that is revoked":   {200, `{"ok":false,"error":"token_revoked"}`, "refused: slack: token_revoked: the token is not valid"},
		"a token without the scope": {200, `{"ok":false,"error":"missing_scope","needed":"chat:write"}`, "refused: slack: missing_scope: give the bot the scope chat:write"},
		"an error of Slack's own":   {200, `{"ok":false,"error":"internal_error"}`, "slack: internal_error"},
		"a rate limit":              {429, ``, "try again after 30s: slack: rate limit"},
		"a rate limit in the body":  {200, `{"ok":false,"error":"ratelimited"}`, "try again after 1s: slack: rate limit"},
		"a server that fails":       {500, ``, "slack: slack server error: 500"},
		"a wrong address":           {404, ``, "refused: slack: 404"},
		"an answer without message": {200, `{"ok":true}`, "slack: the answer names no message"},
		"neither ok nor an error":   {200, `{"ok":false}`, "slack: the answer names no message"},
		"an answer that is no JSON": {200, `<html>`, "slack: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, b := bot(t, func(request) (int, string) { return test.status, test.answer })
			_, err := b.Send(t.Context(), message(), "")
			require.ErrorContains(t, err, test.want)
			require.NotContains(t, err.Error(), "xoxb")
			var refused *notify.RefusedError
			if !strings.HasPrefix(test.want, "refused") {
				require.NotErrorAs(t, err, &refused)
			}
			require.Len(t, f.requests, 1)
		})
	}
}

func TestAnIncomingWebhookIsPostedToAndKeptSecret(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{200: "", 400: "refused: 400 Bad Request: invalid_payload", 410: "refused: 410", 429: "try again after 30s", 500: "failed: 500"} {
		f, url, client := start(t, func(request) (int, string) { return status, "invalid_payload" })
		hook := &Hook{Client: client, URL: url + "/services/T1/B1/secret", Now: time.Now}
		_, err := hook.Send(t.Context(), message(), "")
		require.Equal(t, "❌ shop: 97 of 100 deployed, 3 failed", (<-f.requests).text)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestWhatComesFromOutsideIsInert(t *testing.T) {
	t.Parallel()
	f, b := bot(t, posted)
	evil := message()
	evil.Title = "<!channel> a & b"
	evil.Details = []notify.Detail{
		{Name: "<@U1>|x", Text: "<!here> <https://evil.example|click>\n*bold*", URL: "https://evil.example/|>x"},
		{Name: "ok|<!channel>", Text: "fine", URL: "https://good.example/?a=1&b=2"},
	}
	evil.Commands = []string{"kubectl `rm` <!everyone>"}
	_, err := b.Send(t.Context(), evil, "")
	require.NoError(t, err)
	got := <-f.requests
	require.Equal(t, "❌ &lt;!channel&gt; a &amp; b", got.text)
	for _, block := range got.blocks[1:] {
		text := block["text"].(map[string]any)["text"].(string)
		rest := strings.NewReplacer("<https://good.example/?a=1&amp;b=2|ok/&lt;!channel&gt;>", "", "<https://penstock.example.org/apps/team/shop|open>", "").Replace(text)
		require.NotContains(t, rest, "<", "nothing of it is a command")
		require.NotContains(t, rest, ">")
	}
}

func TestAnythingFitsIntoSlacksLimits(t *testing.T) {
	t.Parallel()
	f, b := bot(t, posted)
	for _, letter := range []string{"x", "&", "<", "ü", "✅", "\xff", " ", "`"} {
		large := message()
		large.Title = strings.Repeat(letter, 5000)
		large.Commands, large.Omitted = nil, 1000
		for range 60 {
			large.Commands = append(large.Commands, strings.Repeat(letter, 400))
			large.Details = append(large.Details, notify.Detail{Name: strings.Repeat(letter, 400), Text: strings.Repeat(letter, 4000), URL: "https://host/" + strings.Repeat("a", 250)})
		}
		_, err := b.Send(t.Context(), large, "")
		require.NoError(t, err)
		got := <-f.requests // which the fake has checked
		last := got.blocks[len(got.blocks)-2]["text"].(map[string]any)["text"]
		require.Equal(t, "and 1014 more", last, "what was left out is counted")
	}
}
