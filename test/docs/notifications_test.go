package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/notify/webhook"
	"github.com/penstock-cd/penstock/test/env"
)

// notifications is what the page makes.
type notifications struct {
	channels v1alpha1.NotificationChannelList
	policies v1alpha1.NotificationPolicyList
}

func TestEveryCommandOfTheNotificationsPageRuns(t *testing.T) {
	r := newReader(t, "notifications.md")
	r.run(t, command{language: "console", text: "kubectl apply -k config/default"})
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "relay-ca.crt"), []byte("a certificate"), 0o600))
	for _, command := range commandsOf(t, r.text(t)) {
		require.Empty(t, command.notRun)
		if strings.HasPrefix(command.text, "kubectl penstock ") {
			continue // the tests of the plugin run these
		}
		r.run(t, command)
	}

	cluster, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	var made notifications
	require.NoError(t, cluster.List(t.Context(), &made.channels, client.InNamespace("shop")))
	require.NoError(t, cluster.List(t.Context(), &made.policies, client.InNamespace("shop")))
	made.requireUsable(t)
	types := map[v1alpha1.ChannelType]bool{}
	for _, channel := range made.channels.Items {
		types[channel.Spec.Type] = true
		if secret := channel.Spec.SecretRef; secret != nil {
			r.run(t, command{language: "console", text: "kubectl -n shop get secret " + secret.Name})
		}
	}
	require.Len(t, types, 4, "there is an example of each type")
}

func TestTheExpressionsOfTheSampleGiveAnAnswer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "config", "samples", "notification.yaml"))
	require.NoError(t, err)
	var sample notifications
	for _, document := range strings.Split(string(text), "\n---\n") {
		switch {
		case strings.Contains(document, "kind: NotificationChannel\n"):
			var channel v1alpha1.NotificationChannel
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &channel))
			sample.channels.Items = append(sample.channels.Items, channel)
		case strings.Contains(document, "kind: NotificationPolicy\n"):
			var policy v1alpha1.NotificationPolicy
			require.NoError(t, yaml.UnmarshalStrict([]byte(document), &policy))
			sample.policies.Items = append(sample.policies.Items, policy)
		}
	}
	require.Len(t, sample.channels.Items, 4)
	sample.requireUsable(t)
}

// messages are one with all fields, and one with none that may be left out.
var messages = []notify.Message{
	{
		ID: "ntf_1", Version: 2, Type: "TriggersCompleted", Level: notify.Failure, Title: "checkout: 1 of 2 deployed", Omitted: 1,
		Details: []notify.Detail{{Name: "checkout-production", Text: "failed"}}, Commands: []string{"kubectl penstock builds checkout-42"},
		Subject: notify.Subject{Namespace: "shop", Environment: "production"},
	},
	{ID: "ntf_2", Version: 1, Type: "RunFailed", Level: notify.Success, Title: "checkout"},
}

// requireUsable evaluates every expression, and wants every channel of a policy to exist.
func (n notifications) requireUsable(t *testing.T) {
	t.Helper()
	expressions, err := route.NewExpressions()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, channel := range n.channels.Items {
		names[channel.Name] = true
		if channel.Spec.Webhook == nil || channel.Spec.Webhook.Body == "" {
			continue
		}
		for _, message := range messages {
			requireCard(t, expressions, channel.Spec.Webhook.Body, message)
		}
	}
	for _, policy := range n.policies.Items {
		usable, err := expressions.Policy(&policy)
		require.NoError(t, err, policy.Name)
		for _, event := range policy.Spec.Tells() {
			_, err := usable.Matches(route.Item{Type: event, At: time.Now(), Revision: "main", Environment: "production"}, labels.Set{"team": "shop"})
			require.NoError(t, err, policy.Name)
		}
		for _, channel := range policy.Spec.Channels {
			require.True(t, names[channel], "policy %s names the channel %s", policy.Name, channel)
		}
		for _, message := range messages {
			if policy.Spec.Template.Title != "" {
				title, err := expressions.Title(policy.Spec.Template.Title, message)
				require.NoError(t, err)
				require.Contains(t, title, message.Title)
			}
		}
	}
}

// requireCard wants a body to be what Teams takes: a message with an Adaptive Card (learn.microsoft.com:
// "Create and send messages").
func requireCard(t *testing.T, expressions *route.Expressions, body string, message notify.Message) {
	t.Helper()
	rendered, err := expressions.JSON(body, message)
	require.NoError(t, err)
	var card struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct {
					Type, Text string
					Facts      []struct{ Title, Value string }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(rendered, &card))
	require.Equal(t, "message", card.Type)
	require.Equal(t, "application/vnd.microsoft.card.adaptive", card.Attachments[0].ContentType)
	content := card.Attachments[0].Content
	require.Equal(t, "AdaptiveCard", content.Type)
	require.Equal(t, message.Title, content.Body[0].Text)
	if len(message.Details) > 0 {
		require.Equal(t, message.Details[0].Text, content.Body[1].Facts[0].Value)
	}
}

// request is one that a receiver checks.
type request struct {
	sentence, secret, body string
	header                 http.Header
	isGood                 bool
}

func requests(t *testing.T, now time.Time) []request {
	t.Helper()
	const body = `{"id":"ntf_1"}`
	sign := func(age time.Duration, secrets ...string) http.Header {
		header := http.Header{"Webhook-Id": {"ntf_1"}, "Webhook-Timestamp": {strconv.FormatInt(now.Add(-age).Unix(), 10)}}
		var signatures []string
		for _, secret := range secrets {
			signature, err := webhook.Signature(secret, "ntf_1", now.Add(-age), []byte(body))
			require.NoError(t, err)
			signatures = append(signatures, signature)
		}
		header.Set("Webhook-Signature", strings.Join(signatures, " "))
		return header
	}
	const inBase64, plain = "whsec_c2VjcmV0IG9mIHRoZSByZWNlaXZlcg==", "a plain secret"
	return []request{
		{sentence: "a good one", secret: inBase64, body: body, header: sign(0, inBase64), isGood: true},
		{sentence: "a good one with a plain secret", secret: plain, body: body, header: sign(time.Minute, plain), isGood: true},
		{sentence: "one that is signed with the old key as well", secret: plain, body: body, header: sign(0, inBase64, plain), isGood: true},
		{sentence: "another body", secret: plain, body: body + " ", header: sign(0, plain)},
		{sentence: "another secret", secret: plain, body: body, header: sign(0, inBase64)},
		{sentence: "an old one", secret: plain, body: body, header: sign(time.Hour, plain)},
		{sentence: "one without a signature", secret: plain, body: body, header: sign(0)},
	}
}

// snippet is the only block of a language on the page.
func (r *reader) snippet(t *testing.T, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(r.text(t), -1)
	require.Len(t, blocks, 1)
	return blocks[0][1]
}

func TestTheReceiverInPythonTellsWhatIsSigned(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	r, now := newReader(t, "notifications.md"), time.Now()
	script := r.snippet(t, "python") + `
import json, sys
for one in json.load(sys.stdin):
    try:
        verify(one["secret"], one["headers"], one["body"].encode(), one["now"])
        print("good")
    except ValueError as error:
        print("refused")
`
	r.requireVerdicts(t, requests(t, now), now, "python3", "-c", script)
}

func TestTheReceiverInGoTellsWhatIsSigned(t *testing.T) {
	t.Parallel()
	r, now := newReader(t, "notifications.md"), time.Now()
	imports, function, found := strings.Cut(r.snippet(t, "go"), "\n)\n")
	require.True(t, found)
	program := filepath.Join(r.dir, "main.go")
	require.NoError(t, os.WriteFile(program, []byte("package main\n"+imports+"\n\t\"encoding/json\"\n\t\"fmt\"\n\t\"os\"\n)\n"+function+`
func main() {
	var all []struct {
		Secret, Body string
		Now          int64
		Headers      map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		panic(err)
	}
	for _, one := range all {
		header := http.Header{}
		for key, value := range one.Headers {
			header.Set(key, value)
		}
		if err := Verify(one.Secret, header, []byte(one.Body), time.Unix(one.Now, 0)); err != nil {
			fmt.Println("refused")
			continue
		}
		fmt.Println("good")
	}
}
`), 0o600))
	r.requireVerdicts(t, requests(t, now), now, "go", "run", program)
}

// requireVerdicts has a program say of each request whether it is good.
func (r *reader) requireVerdicts(t *testing.T, all []request, now time.Time, program string, args ...string) {
	t.Helper()
	var input []map[string]any
	var want strings.Builder
	for _, one := range all {
		headers := map[string]string{}
		for key := range one.header {
			headers[strings.ToLower(key)] = one.header.Get(key)
		}
		input = append(input, map[string]any{"secret": one.secret, "body": one.body, "now": now.Unix(), "headers": headers})
		verdict := "refused"
		if one.isGood {
			verdict = "good"
		}
		fmt.Fprintln(&want, verdict)
	}
	encoded, err := json.Marshal(input)
	require.NoError(t, err)
	run := exec.CommandContext(t.Context(), program, args...)
	run.Dir, run.Stdin = r.dir, bytes.NewReader(encoded)
	var complaints bytes.Buffer
	run.Stderr = &complaints
	printed, err := run.Output()
	require.NoError(t, err, complaints.String())
	require.Equal(t, want.String(), string(printed))
}
