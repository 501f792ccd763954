package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const purl = "pkg:oci/web@sha256%3A0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427?repository_url=registry.example.com/shop/web&tag=1"

func cdevent(name, id, content string) string {
	return `{"context":{"version":"0.4.1","id":"one","source":"/ci","type":"` + name + `"},"subject":{"id":"` + id + `","content":{` + content + `}}}`
}

func binary(body string) (string, []string) {
	return body, []string{"Ce-Specversion", "1.0", "Ce-Id", "header", "Ce-Source", "/header", "Ce-Type", "dev.cdevents.build.finished.0.2.0", "Content-Type", "application/json"}
}

func structured(body string) (string, []string) {
	return `{"specversion":"1.0","id":"envelope","source":"/envelope","type":"dev.cdevents.build.finished.0.2.0","datacontenttype":"application/json","data":` + body + `}`,
		[]string{"Content-Type", "application/cloudevents+json; charset=UTF-8"}
}

func TestCDEventsAreReadInBothForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body  string
		phase v1alpha1.BuildPhase
		image string
	}{
		"a build has started":                           {cdevent("dev.cdevents.build.started.0.2.0", "shop-1", ""), v1alpha1.BuildRunning, ""},
		"a build has an artifact":                       {cdevent("dev.cdevents.build.finished.0.2.0", "shop-1", `"artifactId":"`+purl+`"`), v1alpha1.BuildSucceeded, "registry.example.com/shop/web:1"},
		"a build has no artifact":                       {cdevent("dev.cdevents.build.finished.0.2.0", "shop-1", ""), v1alpha1.BuildError, ""},
		"a pipeline run has failed":                     {cdevent("dev.cdevents.pipelinerun.finished.0.2.0", "shop-1", `"outcome":"failure","pipelineName":"shop"`), v1alpha1.BuildFailed, ""},
		"a pipeline run was cancelled":                  {cdevent("dev.cdevents.pipelinerun.finished.0.2.0", "shop-1", `"outcome":"cancel"`), v1alpha1.BuildCancelled, ""},
		"a pipeline run has an outcome that is unknown": {cdevent("dev.cdevents.pipelinerun.finished.0.2.0", "shop-1", `"outcome":"banana"`), v1alpha1.BuildError, ""},
	} {
		for form, pack := range map[string]func(string) (string, []string){"binary": binary, "structured": structured} {
			t.Run(name+", "+form, func(t *testing.T) {
				t.Parallel()
				body, headers := pack(test.body)
				event := parse(t, v1alpha1.ReceiverCDEvents, body, headers...)
				require.Equal(t, webhook.BuildReported, event.Kind)
				require.Equal(t, "/ci one", event.ID, "of the signed body, not of a header")
				require.Equal(t, "shop-1", event.Report.Build)
				require.Equal(t, test.phase, event.Report.Phase)
				if test.image == "" {
					require.Empty(t, event.Report.Artifacts)
					return
				}
				require.Equal(t, []v1alpha1.Artifact{{Image: test.image, Digest: digest}}, event.Report.Artifacts)
			})
		}
	}
}

func TestAPublishedArtifactIsAnImageThatWasPushed(t *testing.T) {
	t.Parallel()
	body, headers := binary(cdevent("dev.cdevents.artifact.published.0.2.0", purl, ""))
	event := parse(t, v1alpha1.ReceiverCDEvents, body, headers...)
	require.Equal(t, []string{"registry.example.com/shop/web:1@" + digest}, images(event.Images))
	body, headers = binary(cdevent("dev.cdevents.artifact.published.0.2.0", "pkg:maven/org.example/web@1", ""))
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverCDEvents, body, headers...).Kind)
}

func TestOtherCloudEventsNeedAMapping(t *testing.T) {
	t.Parallel()
	event := parse(t, v1alpha1.ReceiverCDEvents, `{"build":"shop-1"}`, "Ce-Specversion", "1.0", "Ce-Id", "7", "Ce-Source", "/jenkins", "Ce-Type", "com.example.done")
	require.Equal(t, webhook.Unmapped, event.Kind)
	require.Equal(t, "/jenkins 7", event.ID)
	require.Equal(t, "com.example.done", event.Name)
}

func TestWhatIsNoCloudEventIsMalformed(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]string{
		`{}`:                               "application/json",
		`[{"specversion":"1.0"}]`:          "application/cloudevents-batch+json",
		`{"specversion":"1.0"}`:            "application/cloudevents+json",
		`{"data":{},"data_base64":"e30="}`: "application/cloudevents+json",
	} {
		_, err := senderOf(t, v1alpha1.ReceiverCDEvents).Parse(request(body, "Content-Type", kind))
		require.ErrorIs(t, err, webhook.ErrMalformed, body)
	}
}
