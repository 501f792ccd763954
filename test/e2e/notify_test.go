package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/receiver"
	"github.com/penstock-cd/penstock/test/world"
)

// newNotifyingWorld may reach loopback, which no installation of others does.
func newNotifyingWorld(t *testing.T) *world.World {
	t.Helper()
	w := newNarrowWorld(t, "OUTBOUND_ALLOWED_NETWORKS=127.0.0.1/32")
	w.MayReadSecrets()
	return w
}

var failuresAndEnds = []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed, v1alpha1.EventTriggersCompleted}

func TestAHundredRunsAreOneMessageInSlackAndOneEmail(t *testing.T) {
	t.Parallel()
	w, slack, mail := newNotifyingWorld(t), receiver.NewSlack(t), receiver.NewMail(t)
	w.Create(given.CiPipeline(given.CI), given.Secret("slack", map[string]string{"token": "xoxb-1"}),
		given.SlackChannel("chat", "slack", slack.URL()), given.EmailChannel("mail", mail.Host, mail.Port),
		given.Grouped(given.Policy("team", failuresAndEnds, "chat", "mail"), v1alpha1.GroupByBuild, time.Second, 5*time.Minute))
	for i := range 97 {
		w.Create(given.CdPipeline(fmt.Sprintf("good-%d", i)))
	}
	for i := range 3 {
		w.Create(given.CdPipeline(fmt.Sprintf("bad-%d", i), given.Runs("failing-pod")))
	}
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	const want = "97 of 100 deployed, 3 failed: bad-"
	w.Eventually("the e-mail tells of the end", func(context.Context) bool { return len(mail.Letters()) > 0 })
	w.Eventually("Slack shows the end", func(context.Context) bool {
		requests := slack.Requests()
		return len(requests) > 0 && strings.Contains(requests[len(requests)-1].Text, want)
	})
	requests := slack.Requests()
	require.LessOrEqual(t, len(requests), 2)
	for _, request := range requests {
		require.Equal(t, requests[0].ID, request.ID)
		require.Equal(t, "xoxb-1", request.Token)
	}
	if len(requests) == 2 {
		require.Equal(t, "chat.update", requests[1].Method)
		require.Equal(t, "1.1", requests[1].Timestamp)
	}
	require.Contains(t, strings.ReplaceAll(mail.Letters()[0].Text, "\r\n ", " "), want)

	w.Eventually("both channels are ready, and nothing waits", func(context.Context) bool {
		for _, name := range []string{"chat", "mail"} {
			channel := get(t, w, name, &v1alpha1.NotificationChannel{})
			if !meta.IsStatusConditionTrue(channel.Status.Conditions, v1alpha1.ConditionReady) || channel.Status.Waiting != 0 || channel.Status.LastDelivered == nil {
				return false
			}
		}
		return true
	})
	require.Len(t, mail.Letters(), 1)
	require.LessOrEqual(t, len(slack.Requests()), 2)
	w.Judge()
}

// The e-mail of a build that went well, as a mail program shows it: go test -v prints it.
func TestAMailServerWithAPasswordTakesOneEmailThatPeopleCanRead(t *testing.T) {
	t.Parallel()
	w := newNotifyingWorld(t)
	relay, err := apart.StartMailpit(t.Context())
	require.NoError(t, err)
	authority, err := os.ReadFile(relay.CAFile)
	require.NoError(t, err)
	channel := given.EmailChannel("mail", relay.Host, relay.Port)
	channel.Spec.Email.Security, channel.Spec.SecretRef = "STARTTLS", &v1alpha1.LocalSecretReference{Name: "relay"}
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CdPipeline("api"), channel,
		given.Secret("relay", map[string]string{"username": env.MailUser, "password": env.MailPassword, "ca.crt": string(authority)}),
		given.Grouped(given.Policy("team", failuresAndEnds, "mail"), v1alpha1.GroupByBuild, time.Second, 5*time.Minute))
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	w.Eventually("the server has taken it", func(context.Context) bool { return len(letters(t, relay)) > 0 })
	taken := letters(t, relay)
	require.Len(t, taken, 1)
	require.Equal(t, "penstock@example.org", taken[0].From.Address)
	require.Equal(t, "team@example.org", taken[0].To[0].Address)
	require.Contains(t, taken[0].Subject, "2 of 2 deployed")
	text := page(t, relay.URL+"/view/latest.txt")
	require.Contains(t, text, taken[0].Subject)
	t.Logf("%s\n\n%s", taken[0].Subject, text)
}

// letter is how mailpit lists an e-mail.
type letter struct {
	Subject string
	From    struct{ Address string }
	To      []struct{ Address string }
}

func letters(t *testing.T, relay *env.Mailpit) []letter {
	t.Helper()
	var all struct {
		Messages []letter `json:"messages"`
	}
	require.NoError(t, json.Unmarshal([]byte(page(t, relay.URL+"/api/v1/messages")), &all))
	return all.Messages
}

func TestWhatAReceiverRefusesIsSeenOnTheChannelAndSentAgainOnDemand(t *testing.T) {
	t.Parallel()
	w, hook := newNotifyingWorld(t), receiver.NewHook(t)
	hook.Answer(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such room, speak to Ada", http.StatusNotFound)
	})
	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web", given.Runs("failing-pod")), given.WebhookChannel("hook", hook.URL()+"/secret-path"),
		given.Grouped(given.Policy("team", failuresAndEnds, "hook", "absent"), v1alpha1.GroupByBuild, 0, 5*time.Minute))
	w.Start()
	w.Eventually("the policy says that a channel is missing", func(context.Context) bool {
		ready := meta.FindStatusCondition(get(t, w, "team", &v1alpha1.NotificationPolicy{}).Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == string(v1alpha1.ReasonChannelNotFound) && strings.Contains(ready.Message, "absent")
	})
	build(w, "app-1")
	w.Succeed("app-1")
	w.Eventually("the channel says what the receiver said", func(context.Context) bool {
		channel := get(t, w, "hook", &v1alpha1.NotificationChannel{})
		ready := meta.FindStatusCondition(channel.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == "Refused" && strings.Contains(ready.Message, "no such room, speak to Ada") && channel.Status.Dropped == 1
	})
	w.KubectlTells("events --for notificationchannel/hook", "GivenUp", "kubectl penstock notify resend")
	w.KubectlTells("get notificationchannel hook", "webhook", "False", "Refused")
	require.Len(t, hook.Posts(), 1, "a final answer is not asked for again")
	first := hook.Posts()[0].Header.Get("Webhook-Id")

	hook.Answer(nil)
	_, err := w.Database.Exec(t.Context(), "UPDATE notification SET due_at = now(), state = 'Waiting' WHERE state = 'GivenUp'")
	require.NoError(t, err)
	w.Eventually("it arrives", func(context.Context) bool { return len(hook.Posts()) == 2 })
	require.Equal(t, first, hook.Posts()[1].Header.Get("Webhook-Id"), "the same delivery")
	var told notify.Message
	require.NoError(t, json.Unmarshal([]byte(hook.Posts()[1].Body), &told))
	require.Equal(t, "0 of 1 deployed, 1 failed: web", told.Title[strings.Index(told.Title, ": ")+2:])
	w.Eventually("the channel is ready", func(context.Context) bool {
		channel := get(t, w, "hook", &v1alpha1.NotificationChannel{})
		return meta.IsStatusConditionTrue(channel.Status.Conditions, v1alpha1.ConditionReady) && channel.Status.Dropped == 0
	})
}

func TestASecretThatIsMendedIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	w, slack := newNotifyingWorld(t), receiver.NewSlack(t)
	slack.Answer(func(r receiver.SlackRequest) (int, string) {
		if r.Token != "xoxb-right" {
			return http.StatusOK, `{"ok":false,"error":"invalid_auth"}`
		}
		return 0, ""
	})
	w.Create(given.CiPipeline(given.CI), given.SlackChannel("chat", "slack", slack.URL()),
		given.Grouped(given.Policy("team", []v1alpha1.NotificationEvent{v1alpha1.EventBuildFailed}, "chat"), v1alpha1.GroupByBuild, 0, time.Minute))
	w.Start()
	reason := func() string {
		ready := meta.FindStatusCondition(get(t, w, "chat", &v1alpha1.NotificationChannel{}).Status.Conditions, v1alpha1.ConditionReady)
		if ready == nil {
			return ""
		}
		return ready.Reason + ": " + ready.Message
	}
	w.Eventually("nothing was tried", func(context.Context) bool { return strings.HasPrefix(reason(), "Untried") })
	fail := func(name string) {
		build(w, name)
		w.Finish(name, v1alpha1.BuildFailed)
	}
	fail("app-1")
	w.Eventually("the Secret is missing", func(context.Context) bool {
		return strings.Contains(reason(), "NotDelivered: the Secret slack does not exist in namespace")
	})
	w.Create(given.Secret("slack", map[string]string{"token": "xoxb-wrong"}))
	w.Eventually("the token is refused", func(context.Context) bool { return strings.Contains(reason(), "Refused: refused: slack: invalid_auth") })
	w.Patch(&corev1.Secret{}, "slack", `{"stringData":{"token":"xoxb-right"}}`)
	fail("app-2")
	w.Eventually("the next message arrives", func(context.Context) bool { return strings.HasPrefix(reason(), "Delivered") })
	last := slack.Requests()[len(slack.Requests())-1]
	require.Contains(t, last.Text, "the build failed")
}

// Each read of a Secret takes a token that a trigger could have.
func TestABurstOfMessagesReadsTheSecretOfItsChannelSeldom(t *testing.T) {
	t.Parallel()
	w, hook := newNotifyingWorld(t), receiver.NewHook(t)
	channel := given.WebhookChannel("hook", hook.URL())
	channel.Spec.SecretRef, channel.Spec.RateLimit = &v1alpha1.LocalSecretReference{Name: "key"}, &v1alpha1.ChannelRateLimit{PerMinute: 600}
	w.Create(given.CiPipeline(given.CI), given.Secret("key", map[string]string{"signingKey": "a key of many bytes"}), channel,
		given.Grouped(given.Policy("team", failuresAndEnds, "hook"), v1alpha1.GroupByNone, 0, 5*time.Minute))
	const failures = 40
	for i := range failures {
		w.Create(given.CdPipeline(fmt.Sprintf("bad-%d", i), given.Runs("failing-pod")))
	}
	w.Start()
	build(w, "app-1")
	w.Succeed("app-1")
	w.Eventually("all is told", func(context.Context) bool { return len(hook.Posts()) >= failures })
	reads := w.Log().Reads("secrets")
	require.NotEmpty(t, reads)
	for i, read := range reads[1:] {
		require.GreaterOrEqual(t, read.Received.Sub(reads[i].Finished), 4*time.Second, "%d reads for %d messages", len(reads), len(hook.Posts()))
	}
}

// page is what a URL answers.
func page(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

// get reads an object of the world.
func get[T client.Object](t *testing.T, w *world.World, name string, object T) T {
	t.Helper()
	require.NoError(t, w.Cluster.Get(context.Background(), types.NamespacedName{Namespace: w.Namespace, Name: name}, object))
	return object
}

// leaks are what must be seen nowhere.
var leaks = []string{"xoxb-LEAK-slack", "LEAK-path", "LEAK-query", "LEAK-password", "LEAK-signing", "LEAK-commit"}

// echo answers with all that it was sent.
func echo(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "refused: %s %v", r.URL, r.Header)
	}
}

func TestNoSecretOfAChannelIsSeenWhateverItsReceiverDoes(t *testing.T) {
	t.Parallel()
	w := newNotifyingWorld(t)
	var channels []string
	add := func(channel *v1alpha1.NotificationChannel, secret map[string]string) {
		channels = append(channels, channel.Name)
		w.Create(given.Secret(channel.Name, secret))
		channel.Spec.SecretRef = &v1alpha1.LocalSecretReference{Name: channel.Name}
		w.Create(channel)
	}
	plain := func(*v1alpha1.NotificationChannelSpec) {}
	for kind, answer := range map[string]http.HandlerFunc{
		"refuses": echo(http.StatusForbidden), "fails": echo(http.StatusBadGateway), "later": echo(http.StatusTooManyRequests),
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/"+r.URL.Path, http.StatusTemporaryRedirect)
		},
	} {
		receives := receiver.NewHook(t)
		receives.Answer(answer)
		secretURL := receives.URL() + "/LEAK-path/x?key=LEAK-query"
		add(given.Channel("hook-"+kind, v1alpha1.ChannelWebhook, plain), map[string]string{"url": secretURL, "signingKey": "LEAK-signing"})
		add(given.Channel("slack-"+kind, v1alpha1.ChannelSlack, plain), map[string]string{"url": secretURL})
		add(given.SlackChannel("bot-"+kind, "", receives.URL()+"/"), map[string]string{"token": "xoxb-LEAK-slack"})
		add(given.Channel("commit-"+kind, v1alpha1.ChannelCommitStatus, func(s *v1alpha1.NotificationChannelSpec) {
			s.CommitStatus = &v1alpha1.CommitStatusChannel{Host: "GitHub", API: receives.URL()}
		}), map[string]string{"token": "LEAK-commit"})
	}
	add(given.Channel("hook-no-host", v1alpha1.ChannelWebhook, plain), map[string]string{"url": "https://nowhere.invalid/LEAK-path?key=LEAK-query"})
	add(given.Channel("hook-no-url", v1alpha1.ChannelWebhook, plain), map[string]string{"url": "ht!tp:/LEAK-path"})
	add(given.EmailChannel("mail", "127.0.0.1", 1), map[string]string{"username": "u", "password": "LEAK-password"})
	ofRepository := func(p *v1alpha1.CiPipeline) {
		p.Spec.Source = &v1alpha1.Source{URL: "https://git.example.org/team/shop"}
	}
	ofCommit := func(b *v1alpha1.CiBuild) { b.Spec.Revision = strings.Repeat("a1", 20) }
	w.Create(given.CiPipeline(given.CI, ofRepository))
	for half := range slices.Chunk(channels, 10) {
		w.Create(given.Grouped(given.Policy("of-"+half[0], []v1alpha1.NotificationEvent{v1alpha1.EventBuildFailed}, half...), v1alpha1.GroupByNone, 0, time.Minute))
	}
	controller := w.Start("LOG_LEVEL=debug")
	w.Create(given.CiBuild("app-1", ofCommit))
	w.Finish("app-1", v1alpha1.BuildFailed)
	w.Eventually("every channel has failed, and says so", func(context.Context) bool {
		for _, name := range channels {
			if get(t, w, name, &v1alpha1.NotificationChannel{}).Status.LastError == "" {
				return false
			}
		}
		return true
	})
	log, err := os.ReadFile(controller.Log())
	require.NoError(t, err)
	seen := map[string]string{"the log": string(log), "the metrics": page(t, controller.MetricsURL)}
	for _, objects := range []string{"notificationchannels", "notificationpolicies", "events", "cibuilds"} {
		printed, err := w.Kubectl(t.Context(), "get", objects, "-o", "yaml")
		require.NoError(t, err)
		seen[objects] = printed
	}
	rows, err := w.Database.Query(t.Context(), "SELECT n::text FROM notification n")
	require.NoError(t, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, texts)
	seen["the outbox"] = strings.Join(texts, "\n")
	for where, text := range seen {
		require.NotEmpty(t, text, where)
		for _, leak := range leaks {
			require.NotContains(t, text, leak, where)
		}
	}
	require.Contains(t, seen["notificationchannels"], "[redacted]", "some receiver has repeated what it was sent")
}
