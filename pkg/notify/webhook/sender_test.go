package webhook

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

var noon = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func message() notify.Message {
	return notify.Message{
		ID: "ntf_1", Version: 1, Type: "RunFailed", Level: notify.Failure, Title: "shop: 97 of 100 deployed, 3 failed", Time: noon,
		Subject: notify.Subject{Namespace: "team", Application: "shop", Build: "shop-1"},
	}
}

type received struct {
	header http.Header
	body   []byte
}

// receiver keeps what it was sent, and answers with a status.
func receiver(t *testing.T, status int) (url string, got chan received) {
	t.Helper()
	got = make(chan received, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- received{r.Header, body}
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "its\nown words")
	}))
	t.Cleanup(server.Close)
	return server.URL + "/hooks/secret", got
}

func sender(t *testing.T, url string, change func(*Config)) *Sender {
	t.Helper()
	config := Config{Client: loopback.Client(t), URL: url, Source: "penstock.example.org", Now: func() time.Time { return noon }}
	if change != nil {
		change(&config)
	}
	return New(config)
}

// The example of the Standard Webhooks libraries (standard-webhooks/standard-webhooks,
// libraries/go/webhook_test.go).
func TestASignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	signature, err := Signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.NoError(t, err)
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature)
}

func TestARequestIsSignedByEachSecret(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusNoContent)
	s := sender(t, url, func(c *Config) { c.Secrets = []string{"new-secret", "old-secret"} })
	_, err := s.Send(t.Context(), message(), "")
	require.NoError(t, err)
	request := <-got
	var told notify.Message
	require.NoError(t, json.Unmarshal(request.body, &told))
	require.Equal(t, message(), told)
	require.Equal(t, "application/json", request.header.Get("Content-Type"))
	require.Equal(t, "ntf_1", request.header.Get("webhook-id"))
	require.Equal(t, "1795694400", request.header.Get("webhook-timestamp"))
	signatures := strings.Fields(request.header.Get("webhook-signature"))
	require.Len(t, signatures, 2)
	for i, secret := range []string{"new-secret", "old-secret"} {
		want, err := Signature(secret, "ntf_1", noon, request.body)
		require.NoError(t, err)
		require.Equal(t, want, signatures[i])
	}
}

func TestARepeatHasTheSameIDAndNewFiguresHaveAnother(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusOK)
	s := sender(t, url, nil)
	newer := message()
	newer.Version = 2
	var ids []string
	for _, one := range []notify.Message{message(), message(), newer} {
		_, err := s.Send(t.Context(), one, "")
		require.NoError(t, err)
		request := <-got
		require.Empty(t, request.header.Get("webhook-signature"), "nothing to sign with")
		ids = append(ids, request.header.Get("webhook-id"))
	}
	require.Equal(t, []string{"ntf_1", "ntf_1", "ntf_1.2"}, ids)
}

func TestACloudEventHasItsRequiredAttributes(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusAccepted)
	_, err := sender(t, url, func(c *Config) { c.Format = CloudEvents }).Send(t.Context(), message(), "")
	require.NoError(t, err)
	request := <-got
	require.Equal(t, "application/cloudevents+json", request.header.Get("Content-Type"))
	var event map[string]any
	require.NoError(t, json.Unmarshal(request.body, &event))
	require.Equal(t, "1.0", event["specversion"])
	require.Equal(t, "ntf_1", event["id"])
	require.Equal(t, "penstock.example.org", event["source"])
	require.Equal(t, "dev.penstock.RunFailed", event["type"])
	require.Equal(t, "2026-11-26T12:00:00Z", event["time"])
	require.Equal(t, "shop: 97 of 100 deployed, 3 failed", event["data"].(map[string]any)["title"])
}

func TestABodyOfTheUsersIsSentAsItIs(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusOK)
	body := func(m notify.Message) (any, error) { return map[string]any{"type": "message", "text": m.Title}, nil }
	_, err := sender(t, url, func(c *Config) { c.Body = body }).Send(t.Context(), message(), "")
	require.NoError(t, err)
	require.JSONEq(t, `{"type": "message", "text": "shop: 97 of 100 deployed, 3 failed"}`, string((<-got).body))
}

func TestWhatCannotBeSentIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusOK)
	tests := map[string]func(*Config){
		"a body that is too large": func(c *Config) {
			c.Body = func(notify.Message) (any, error) { return strings.Repeat("x", maxBody), nil }
		},
		"a body that is no JSON": func(c *Config) { c.Body = func(notify.Message) (any, error) { return make(chan int), nil } },
		"a URL that is broken":   func(c *Config) { c.URL = "http://host/%zz-secret" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sender(t, url, change).Send(t.Context(), message(), "")
			var refused *notify.RefusedError
			require.ErrorAs(t, err, &refused)
			require.NotContains(t, err.Error(), "zz")
			require.Empty(t, got)
		})
	}
}

func TestWhatASecretThatIsBrokenHoldsUpIsSentWhenItIsMended(t *testing.T) {
	t.Parallel()
	url, got := receiver(t, http.StatusOK)
	_, err := sender(t, url, func(c *Config) { c.Secrets = []string{"whsec_?"} }).Send(t.Context(), message(), "")
	require.ErrorContains(t, err, "no base64")
	var refused *notify.RefusedError
	require.NotErrorAs(t, err, &refused)
	require.Empty(t, got)
}

func TestAnAnswerIsFinalOrNot(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		400: "refused: 400 Bad Request: its own words", 401: "refused", 404: "refused", 410: "refused", 304: "refused",
		429: "try again after 7s: 429 Too Many Requests: its own words", 503: "try again after 7s",
		408: "failed: 408", 500: "failed: 500 Internal Server Error: its own words", 502: "failed: 502",
	} {
		url, got := receiver(t, status)
		_, err := sender(t, url, nil).Send(t.Context(), message(), "")
		require.ErrorContains(t, err, want)
		require.Len(t, got, 1)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestWhatIsTooLargeIsSentWithFewerDetails(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, CloudEvents} {
		url, got := receiver(t, http.StatusOK)
		large := message()
		large.Omitted, large.Details = 2, nil
		for range 40 {
			large.Details = append(large.Details, notify.Detail{Name: "web", Text: strings.Repeat("<", 300)}) // of which JSON makes six bytes each
		}
		_, err := sender(t, url, func(c *Config) { c.Format = format }).Send(t.Context(), large, "")
		require.NoError(t, err)
		request := <-got
		require.LessOrEqual(t, len(request.body), maxBody)
		told := notify.Message{}
		if format == JSON {
			require.NoError(t, json.Unmarshal(request.body, &told))
		} else {
			event := struct{ Data notify.Message }{}
			require.NoError(t, json.Unmarshal(request.body, &event))
			told = event.Data
		}
		require.Len(t, told.Details, 10)
		require.Equal(t, 32, told.Omitted)
	}
}
