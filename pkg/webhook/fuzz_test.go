package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

// fuzzParse gives a sender bodies and the header that names the event. Whatever they are, it
// answers with an event that can be stored, and with the same one each time.
func fuzzParse(f *testing.F, of v1alpha1.ReceiverType, header string) {
	f.Fuzz(func(t *testing.T, body, value, kind string) {
		sender := senderOf(t, of)
		given := request(body, "Content-Type", kind, "Ce-Specversion", "1.0", "Ce-Type", value)
		if header != "" {
			given.Header.Set(header, value)
		}
		event, err := sender.Parse(given)
		again, _ := sender.Parse(webhook.Request{Header: webhook.Keep(sender, given.Header), Body: given.Body, At: given.At})
		require.Equal(t, event, again, "what is kept is enough to parse it again")
		if err != nil {
			require.ErrorIs(t, err, webhook.ErrMalformed)
		}
		require.NotEmpty(t, event.ID)
		for _, key := range []string{event.ID, event.Name, event.Order} {
			require.LessOrEqual(t, len(key), 253)
		}
		if event.Kind == webhook.Pushed && err == nil {
			require.NotEmpty(t, event.Push.Repositories)
			require.NotEmpty(t, strings.Trim(event.Push.Commit, "0"))
		}
		for _, image := range event.Images {
			require.NotEmpty(t, image.Repository)
		}
	})
}

func FuzzParseGitHub(f *testing.F) {
	f.Add(githubPush("refs/heads/main", commit, ""), "push", "application/json")
	f.Add("payload=%7B%7D", "push", "application/x-www-form-urlencoded")
	f.Add(githubPackage("package", "1", digest), "package", "")
	f.Add(githubPackage("registry_package", "", digest), "registry_package", "")
	fuzzParse(f, v1alpha1.ReceiverGitHub, "X-Github-Event")
}

func FuzzParseGitLab(f *testing.F) {
	f.Add(gitlabPipeline("success", `{"key":"PENSTOCK_BUILD","value":"a"}`), "Pipeline Hook", "")
	f.Add(`{"object_kind":"push","ref":"refs/heads/main","after":"`+commit+`",`+gitlabProject+`}`, "System Hook", "")
	fuzzParse(f, v1alpha1.ReceiverGitLab, "X-Gitlab-Event")
}

func FuzzParseHarbor(f *testing.F) {
	f.Add(harborPush("harbor.example.com/shop/web:1", "1"), "", "")
	fuzzParse(f, v1alpha1.ReceiverHarbor, "")
}

func FuzzParseDistribution(f *testing.F) {
	f.Add(`{"events":[`+distributionEvent("a", "push", "application/vnd.oci.image.index.v1+json", "1")+`]}`, "", "")
	fuzzParse(f, v1alpha1.ReceiverDistribution, "")
}

func FuzzParseCDEvents(f *testing.F) {
	body, _ := structured(cdevent("dev.cdevents.build.finished.0.2.0", "shop-1", `"artifactId":"`+purl+`"`))
	f.Add(body, "", "application/cloudevents+json")
	f.Add(cdevent("dev.cdevents.artifact.published.0.2.0", purl, ""), "", "application/json")
	fuzzParse(f, v1alpha1.ReceiverCDEvents, "")
}

func FuzzParseUnsigned(f *testing.F) {
	f.Add(`{"push_data":{"tag":"latest"},"repository":{"repo_name":"team/web"}}`, "", "")
	f.Add(`{"docker_url":"quay.io/team/web","updated_tags":["latest"]}`, "", "")
	fuzzParse(f, v1alpha1.ReceiverUnsigned, "")
}

func FuzzMapping(f *testing.F) {
	f.Add(payload, "body.job.name", "body.image")
	f.Add(payload, "string(body.job.number)", "body.missing")
	expressions := newExpressions(f)
	f.Fuzz(func(t *testing.T, body, text, image string) {
		event, err := senderOf(t, v1alpha1.ReceiverGeneric).Parse(request(body))
		if err != nil {
			return
		}
		applied, err := expressions.Apply(event, []byte(body), generic(v1alpha1.ReceiverMapping{Pipeline: text, Build: text, Image: image}))
		if err == nil && applied.Kind == webhook.BuildReported {
			require.LessOrEqual(t, len(applied.Report.Build), 253)
		}
	})
}

// Whatever a header says, only who knows the secret is believed.
func FuzzSignature(f *testing.F) {
	f.Add("sha256="+hexSum("", body), body, "1", "v1,AAAA")
	f.Add("sha256=", "", "", "v1,")
	f.Fuzz(func(t *testing.T, signature, body, at, standard string) {
		headers := []string{
			"X-Hub-Signature-256", signature, "X-Signature-256", signature, "Authorization", signature, "X-Gitlab-Token", signature,
			"Webhook-Id", "one", "Webhook-Timestamp", at, "Webhook-Signature", standard,
		}
		const secret = "a secret that nobody finds by trying"
		for _, of := range []v1alpha1.ReceiverType{v1alpha1.ReceiverGitHub, v1alpha1.ReceiverGitLab, v1alpha1.ReceiverHarbor, v1alpha1.ReceiverCDEvents, v1alpha1.ReceiverDistribution, v1alpha1.ReceiverGeneric} {
			require.Error(t, senderOf(t, of).Verify(request(body, headers...), secrets(secret, "")), of)
			require.Error(t, senderOf(t, of).Verify(request(body, headers...), nil), of)
		}
		require.NoError(t, senderOf(t, v1alpha1.ReceiverGitHub).Verify(request(body, "X-Hub-Signature-256", "sha256="+hexSum(secret, body)), secrets("", secret)))
	})
}
