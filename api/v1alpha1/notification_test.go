package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// channelOf is a NotificationChannel with this spec, whose name the API server chooses.
func channelOf(spec v1alpha1.NotificationChannelSpec) *v1alpha1.NotificationChannel {
	return &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{GenerateName: "channel-"}, Spec: spec}
}

var secretRef = &v1alpha1.LocalSecretReference{Name: "slack"}

func slackSpec() v1alpha1.NotificationChannelSpec {
	return v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelSlack, SecretRef: secretRef, Slack: &v1alpha1.SlackChannel{Channel: "#deploys"}}
}

func emailSpec() v1alpha1.NotificationChannelSpec {
	return v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelEmail, Email: &v1alpha1.EmailChannel{
		Host: "smtp.example.org", From: "penstock@example.org", To: []string{"team@example.org"},
	}}
}

func commitStatusSpec() v1alpha1.NotificationChannelSpec {
	return v1alpha1.NotificationChannelSpec{
		Type: v1alpha1.ChannelCommitStatus, SecretRef: secretRef, CommitStatus: &v1alpha1.CommitStatusChannel{Host: "GitHub"},
	}
}

func webhookSpec() v1alpha1.NotificationChannelSpec {
	return v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelWebhook, Webhook: &v1alpha1.WebhookChannel{URL: "https://example.org/hook"}}
}

func TestAChannelOfEachTypeIsAcceptedWithItsDefaults(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	slack, email, status, webhook := channelOf(slackSpec()), channelOf(emailSpec()), channelOf(commitStatusSpec()), channelOf(webhookSpec())
	hook := channelOf(v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelSlack, SecretRef: secretRef})
	secret := channelOf(v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelWebhook, SecretRef: secretRef})
	for _, channel := range []*v1alpha1.NotificationChannel{slack, email, status, webhook, hook, secret} {
		require.NoError(t, p.create(t, channel))
		require.Equal(t, &v1alpha1.ChannelRateLimit{PerMinute: 30}, channel.Spec.RateLimit)
	}
	require.Equal(t, "STARTTLS", email.Spec.Email.Security)
	require.Zero(t, email.Spec.Email.Port, "it follows from security")
	require.Equal(t, "JSON", webhook.Spec.Webhook.Format)
	for channel, updates := range map[*v1alpha1.NotificationChannel]bool{slack: true, hook: false, email: false, status: false, webhook: false} {
		require.Equal(t, updates, channel.Spec.Updates(), "of a message of Slack's bot alone newer figures replace the old ones")
	}
}

const (
	needsSecret  = "spec.secretRef: Invalid value: secretRef is needed: it names the Secret with the token, or the URL"
	otherSlack   = "spec.slack: Invalid value: slack can only be set where type is slack: remove it, or change type"
	otherEmail   = "spec.email: Invalid value: email must be set where type is email, and only there"
	otherStatus  = "spec.commitStatus: Invalid value: commitStatus must be set where type is commitStatus, and only there"
	otherWebhook = "spec.webhook: Invalid value: webhook can only be set where type is webhook: remove it, or change type"
	badFrom      = ": from must be one address on one line, such as penstock@example.org"
	badTo        = ": to must hold one address on one line in each item, such as team@example.org"
	badHost      = ": host must be a name or an address, without a port: put that into the field port"
	badURL       = "spec.webhook.url: Invalid value: url must begin with https:// or http://, and hold no user name: a URL with credentials belongs into the Secret"
	badAPI       = "api must be a URL such as"
)

// change are a spec, what is done to it, and what the API server says.
type change struct {
	spec    v1alpha1.NotificationChannelSpec
	change  func(*v1alpha1.NotificationChannelSpec)
	refusal string
}

func TestTheTypeOfAChannelDecidesWhatItNeeds(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationChannelSpec
	for sentence, c := range map[string]change{
		"another type is refused": {
			slackSpec(), func(s *spec) { s.Type = "pager" }, `spec.type: Unsupported value: "pager": supported values: "slack", "email", "commitStatus", "webhook"`,
		},
		"a bot of Slack needs its token":              {slackSpec(), func(s *spec) { s.SecretRef = nil }, needsSecret},
		"an incoming webhook of Slack needs its URL":  {slackSpec(), func(s *spec) { s.SecretRef, s.Slack = nil, nil }, needsSecret},
		"the status of commits needs a token":         {commitStatusSpec(), func(s *spec) { s.SecretRef = nil }, needsSecret},
		"a webhook needs a URL":                       {webhookSpec(), func(s *spec) { s.Webhook = nil }, needsSecret},
		"a webhook needs a URL whatever else is said": {webhookSpec(), func(s *spec) { s.Webhook.URL, s.Webhook.Format = "", "CloudEvents" }, needsSecret},
		"a webhook may have its URL in the Secret":    {webhookSpec(), func(s *spec) { s.Webhook.URL, s.SecretRef = "", secretRef }, ""},
		"a webhook may sign with a Secret":            {webhookSpec(), func(s *spec) { s.SecretRef = secretRef }, ""},
		"a mail server needs no password":             {emailSpec(), func(*spec) {}, ""},
		"a mail server may have a password":           {emailSpec(), func(s *spec) { s.SecretRef = secretRef }, ""},
		"a Secret is of the same namespace":           {slackSpec(), func(s *spec) { s.SecretRef = &v1alpha1.LocalSecretReference{Name: "other/slack"} }, "spec.secretRef.name"},
		"a Secret has a name":                         {slackSpec(), func(s *spec) { s.SecretRef = &v1alpha1.LocalSecretReference{} }, "spec.secretRef.name"},
		"slack is for type slack alone":               {webhookSpec(), func(s *spec) { s.Slack = &v1alpha1.SlackChannel{Channel: "a"} }, otherSlack},
		"email is for type email alone":               {webhookSpec(), func(s *spec) { s.Email = emailSpec().Email }, otherEmail},
		"type email needs email":                      {emailSpec(), func(s *spec) { s.Email = nil }, otherEmail},
		"commitStatus is for that type alone":         {webhookSpec(), func(s *spec) { s.CommitStatus = commitStatusSpec().CommitStatus }, otherStatus},
		"type commitStatus needs commitStatus":        {commitStatusSpec(), func(s *spec) { s.CommitStatus = nil }, otherStatus},
		"webhook is for type webhook alone":           {slackSpec(), func(s *spec) { s.Webhook = webhookSpec().Webhook }, otherWebhook},
		"a rate of none is refused":                   {slackSpec(), func(s *spec) { s.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: -1} }, "spec.rateLimit.perMinute in body should be greater than or equal to 1"},
		"a rate of 601 is refused":                    {slackSpec(), func(s *spec) { s.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: 601} }, "spec.rateLimit.perMinute in body should be less than or equal to 600"},
		"a rate of 600 is accepted":                   {slackSpec(), func(s *spec) { s.RateLimit = &v1alpha1.ChannelRateLimit{PerMinute: 600} }, ""},
	} {
		c.try(t, sentence)
	}
}

func TestWhatAChannelSaysMustBeUsable(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationChannelSpec
	from := func(address string) func(*spec) { return func(s *spec) { s.Email.From = address } }
	to := func(addresses ...string) func(*spec) { return func(s *spec) { s.Email.To = addresses } }
	host := func(host string) func(*spec) { return func(s *spec) { s.Email.Host = host } }
	url := func(url string) func(*spec) { return func(s *spec) { s.Webhook.URL = url } }
	for sentence, c := range map[string]change{
		"Slack needs a channel":                     {slackSpec(), func(s *spec) { s.Slack.Channel = "" }, "spec.slack.channel in body should be at least 1 chars long"},
		"a Slack of your own is accepted":           {slackSpec(), func(s *spec) { s.Slack.API = "https://slack.example.org:8443/api/" }, ""},
		"a Slack with a password is refused":        {slackSpec(), func(s *spec) { s.Slack.API = "https://me:secret@slack.example.org/" }, "spec.slack.api: Invalid value: " + badAPI},
		"a sender with a name is accepted":          {emailSpec(), from("Penstock <penstock@example.org>"), ""},
		"a sender without @ is refused":             {emailSpec(), from("penstock"), badFrom},
		"a sender of two lines is refused":          {emailSpec(), from("a@example.org\r\nBcc: b@example.org"), badFrom},
		"a sender that ends a line is refused":      {emailSpec(), from("a@example.org\n"), badFrom},
		"a receiver of two lines is refused":        {emailSpec(), to("a@example.org\nBcc: b@example.org"), badTo},
		"a receiver without @ is refused":           {emailSpec(), to("team"), badTo},
		"no receiver is refused":                    {emailSpec(), to(), "spec.email.to"},
		"a receiver given twice is refused":         {emailSpec(), to("a@example.org", "a@example.org"), `spec.email.to[1]: Duplicate value: "a@example.org"`},
		"fifty receivers are accepted":              {emailSpec(), to(addresses(50)...), ""},
		"fifty-one are refused":                     {emailSpec(), to(addresses(51)...), "spec.email.to: Too many: 51: must have at most 50 items"},
		"a relay by address is accepted":            {emailSpec(), host("10.1.2.3"), ""},
		"a relay by an address of IPv6 is accepted": {emailSpec(), host("fd00::25"), ""},
		"a port is no part of the host":             {emailSpec(), host("smtp.example.org:587"), badHost},
		"a URL is no host":                          {emailSpec(), host("smtp://smtp.example.org"), badHost},
		"another encryption is refused":             {emailSpec(), func(s *spec) { s.Email.Security = "SSL" }, `spec.email.security: Unsupported value: "SSL": supported values: "STARTTLS", "TLS", "None"`},
		"a port of 65536 is refused":                {emailSpec(), func(s *spec) { s.Email.Port = 65536 }, "spec.email.port in body should be less than or equal to 65535"},
		"another host of repositories is refused":   {commitStatusSpec(), func(s *spec) { s.CommitStatus.Host = "Gitea" }, `spec.commitStatus.host: Unsupported value: "Gitea": supported values: "GitHub", "GitLab"`},
		"a host of your own is accepted":            {commitStatusSpec(), func(s *spec) { s.CommitStatus.API = "https://git.example.org/api/v4" }, ""},
		"an API with a query is refused":            {commitStatusSpec(), func(s *spec) { s.CommitStatus.API = "https://git.example.org/api/v4?private_token=x" }, "spec.commitStatus.api: Invalid value: " + badAPI},
		"a URL with a user is refused":              {webhookSpec(), url("https://me:secret@example.org/hook"), badURL},
		"a URL of another scheme is refused":        {webhookSpec(), url("file:///etc/passwd"), badURL},
		"a URL with a space is refused":             {webhookSpec(), url("https://example.org/a b"), badURL},
		"a URL of two lines is refused":             {webhookSpec(), url("https://example.org/\r\nHost: other"), badURL},
		"a URL with an @ in its path is accepted":   {webhookSpec(), url("https://example.org/@team?x=a@b"), ""},
		"another format is refused":                 {webhookSpec(), func(s *spec) { s.Webhook.Format = "XML" }, `spec.webhook.format: Unsupported value: "XML": supported values: "JSON", "CloudEvents"`},
		"a body of 8192 characters is accepted":     {webhookSpec(), func(s *spec) { s.Webhook.Body = strings.Repeat("(", 8192) }, ""},
		"a body of 8193 characters is refused":      {webhookSpec(), func(s *spec) { s.Webhook.Body = strings.Repeat("(", 8193) }, "spec.webhook.body: Too long: may not be more than 8192 bytes"},
	} {
		c.try(t, sentence)
	}
}

func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%d@example.org", i)
	}
	return all
}

func (c change) try(t *testing.T, sentence string) {
	t.Helper()
	p := newPlace(t)
	t.Run(sentence, func(t *testing.T) {
		t.Parallel()
		channel := channelOf(c.spec)
		c.change(&channel.Spec)
		err := p.create(t, channel)
		requireAdmission(t, c.refusal, err)
		if err != nil {
			require.NotContains(t, err.Error(), "secret@", "a password is not repeated")
		}
	})
}

func policyOf(with ...func(*v1alpha1.NotificationPolicySpec)) *v1alpha1.NotificationPolicy {
	policy := &v1alpha1.NotificationPolicy{ObjectMeta: metav1.ObjectMeta{GenerateName: "policy-"}, Spec: v1alpha1.NotificationPolicySpec{
		Events: []v1alpha1.NotificationEvent{v1alpha1.EventRunFailed}, Channels: []string{"deploys"},
	}}
	for _, change := range with {
		change(&policy.Spec)
	}
	return policy
}

func TestAPolicyTellsOfBuildsUnlessSaidOtherwise(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	policy := policyOf()
	require.NoError(t, p.create(t, policy))
	require.Equal(t, v1alpha1.NotificationGroup{
		By: v1alpha1.GroupByBuild, Wait: &metav1.Duration{Duration: 10 * time.Second}, Interval: &metav1.Duration{Duration: 5 * time.Minute},
	}, policy.Spec.Group)
	part := policyOf(func(s *v1alpha1.NotificationPolicySpec) { s.Group.By = v1alpha1.GroupByNone })
	require.NoError(t, p.create(t, part))
	require.Equal(t, &metav1.Duration{Duration: 5 * time.Minute}, part.Spec.Group.Interval, "each field has its own default")
}

func TestEveryEventAndEveryGroupIsAccepted(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, by := range []v1alpha1.GroupBy{v1alpha1.GroupByBuild, v1alpha1.GroupByPipeline, v1alpha1.GroupByApplication, v1alpha1.GroupByEnvironment, v1alpha1.GroupByNone} {
		require.NoError(t, p.create(t, policyOf(func(s *v1alpha1.NotificationPolicySpec) {
			s.Group.By = by
			s.Events = []v1alpha1.NotificationEvent{
				v1alpha1.EventBuildSucceeded, v1alpha1.EventBuildFailed, v1alpha1.EventTriggersCompleted, v1alpha1.EventRunSucceeded, v1alpha1.EventRunFailed,
				v1alpha1.EventRunCancelled, v1alpha1.EventRunDelayed, v1alpha1.EventRunHeld, v1alpha1.EventClusterUnreachable, v1alpha1.EventClusterRecovered,
			}
		})))
	}
}

func TestCreatingANotificationPolicy(t *testing.T) {
	t.Parallel()
	type spec = v1alpha1.NotificationPolicySpec
	const wait, interval = ": wait must be a duration from 0s to 1h, such as 10s", ": interval must be a duration from 1s to 24h, such as 5m"
	p := newPlace(t)
	for sentence, tc := range map[string]struct {
		change  func(*spec)
		refusal string
	}{
		"nothing to tell is refused":                 {func(s *spec) { s.Events = nil }, "spec.events: Invalid value: set exactly one of events and on: what the policy tells"},
		"events under their other name are accepted": {func(s *spec) { s.Events, s.On = nil, s.Events }, ""},
		"events under both names are refused":        {func(s *spec) { s.On = s.Events }, "spec.events: Invalid value: set exactly one of events and on: what the policy tells"},
		"an unknown event is refused":                {func(s *spec) { s.Events[0] = "RunExploded" }, `spec.events[0]: Unsupported value: "RunExploded": supported values: "BuildSucceeded"`},
		"an event given twice is refused":            {func(s *spec) { s.Events = append(s.Events, s.Events...) }, `spec.events[1]: Duplicate value: "RunFailed"`},
		"no channel is refused":                      {func(s *spec) { s.Channels = []string{} }, "spec.channels in body should have at least 1 items"},
		"a channel without a name is refused":        {func(s *spec) { s.Channels[0] = "" }, "spec.channels[0] in body should be at least 1 chars long"},
		"a channel given twice is refused":           {func(s *spec) { s.Channels = []string{"a", "a"} }, `spec.channels[1]: Duplicate value: "a"`},
		"sixteen channels are accepted":              {func(s *spec) { s.Channels = named(16) }, ""},
		"seventeen channels are refused":             {func(s *spec) { s.Channels = named(17) }, "spec.channels: Too many: 17: must have at most 16 items"},
		"a group by something else is refused":       {func(s *spec) { s.Group.By = "Team" }, `spec.group.by: Unsupported value: "Team": supported values: "Build", "Pipeline", "Application", "Environment", "None"`},
		"no wait is accepted":                        {waits(0), ""},
		"an hour's wait is accepted":                 {waits(time.Hour), ""},
		"a longer wait is refused":                   {waits(time.Hour + time.Second), wait},
		"a negative wait is refused":                 {waits(-time.Second), wait},
		"an interval of a second is accepted":        {every(time.Second), ""},
		"an interval of a day is accepted":           {every(24 * time.Hour), ""},
		"no interval is refused":                     {every(0), interval},
		"a longer interval is refused":               {every(25 * time.Hour), interval},
		"a filter of 4097 characters is refused":     {func(s *spec) { s.Filter = strings.Repeat("(", 4097) }, "spec.filter: Too long: may not be more than 4096 bytes"},
		"a title of 4097 characters is refused":      {func(s *spec) { s.Template.Title = strings.Repeat("(", 4097) }, "spec.template.title: Too long: may not be more than 4096 bytes"},
		"a selector by labels and more is one":       {func(s *spec) { s.Selector = selector() }, ""},
		"an application given twice is refused":      {func(s *spec) { s.Selector.Applications = []string{"a", "a"} }, `spec.selector.applications[1]: Duplicate value: "a"`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			requireAdmission(t, tc.refusal, p.create(t, policyOf(tc.change)))
		})
	}
}

func waits(wait time.Duration) func(*v1alpha1.NotificationPolicySpec) {
	return func(s *v1alpha1.NotificationPolicySpec) { s.Group.Wait = &metav1.Duration{Duration: wait} }
}

func every(interval time.Duration) func(*v1alpha1.NotificationPolicySpec) {
	return func(s *v1alpha1.NotificationPolicySpec) { s.Group.Interval = &metav1.Duration{Duration: interval} }
}

func selector() v1alpha1.NotificationSelector {
	return v1alpha1.NotificationSelector{
		LabelSelector: metav1.LabelSelector{
			MatchLabels:      map[string]string{"team": "shop"},
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpIn, Values: []string{"gold"}}},
		},
		Applications: []string{"checkout"}, Environments: []string{"production"}, Pipelines: []string{"checkout-production"},
	}
}

func TestDurationsOfAPolicyAreTextsWithUnits(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	policy := policyOf()
	require.NoError(t, p.create(t, policy))
	for _, duration := range []string{`"10"`, `"1 m"`, `"1d"`, `"-5m"`, `""`, `"9999999999999999999h"`, `"a minute"`, `10`, `"` + strings.Repeat("0", 32) + `s"`} {
		for _, field := range []string{"wait", "interval"} {
			err := p.patch(t, policy.DeepCopy(), fmt.Sprintf(`{"spec":{"group":{%q:%s}}}`, field, duration))
			requireAdmission(t, "spec.group."+field, err)
		}
	}
	require.NoError(t, p.patch(t, policy, `{"spec":{"group":{"wait":"1m30s","interval":"1h30m0.5s"}}}`))
}

func TestATableTellsHowAChannelAndAPolicyAreDoing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	channel, policy := channelOf(slackSpec()), policyOf()
	channel.Name, policy.Name = "deploys", "failures"
	require.NoError(t, p.create(t, channel))
	require.NoError(t, p.create(t, policy))
	condition := `{"conditions":[{"type":"Ready","status":"False","reason":"Refused","message":"m","lastTransitionTime":"2026-01-01T03:04:05Z"}]`
	delivered := time.Now().UTC().Add(-26 * time.Hour).Format(time.RFC3339)
	require.NoError(t, p.patchStatus(t, channel, `{"status":`+condition+`,"waiting":3,"dropped":1,"lastDelivered":"`+delivered+`"}}`))
	require.NoError(t, p.patchStatus(t, policy, `{"status":`+condition+`}}`))
	require.Equal(t, "Name | Type | Ready | Reason | Delivered | Waiting | Dropped\ndeploys | slack | False | Refused | 26h | 3 | 1", table(t, p, "notificationchannels"))
	require.Equal(t, "Name | Events | Channels | Ready\nfailures | [\"RunFailed\"] | [\"deploys\"] | False", table(t, p, "notificationpolicies"))
}
