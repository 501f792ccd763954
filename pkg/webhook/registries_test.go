package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

func harborPush(url, tag string) string {
	return fmt.Sprintf(`{"type":"PUSH_ARTIFACT","occur_at":1586922308,"operator":"admin","event_data":{"resources":[{"digest":%q,"tag":%q,"resource_url":%q}],"repository":{"name":"web","namespace":"shop","repo_full_name":"shop/web"}}}`, digest, tag, url)
}

func TestHarborTellsOfImages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ body, want string }{
		"with a tag":             {harborPush("Harbor.example.com/shop/web:1", "1"), "harbor.example.com/shop/web:1@" + digest},
		"with a port":            {harborPush("harbor.example.com:8443/shop/web:1", "1"), "harbor.example.com:8443/shop/web:1@" + digest},
		"with the digest as tag": {harborPush("harbor.example.com/shop/web@"+digest, digest), "harbor.example.com/shop/web@" + digest},
		"without the host":       {harborPush("", "1"), "shop/web:1@" + digest},
		"as a CloudEvent":        {`{"specversion":"1.0","id":"one","type":"harbor.artifact.pushed","data":` + strings.TrimSuffix(harborPush("harbor.example.com/shop/web:1", "1")[strings.Index(harborPush("", ""), `{"resources"`):], "}") + `}`, "harbor.example.com/shop/web:1@" + digest},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := parse(t, v1alpha1.ReceiverHarbor, test.body)
			require.Equal(t, webhook.ImagePushed, event.Kind)
			require.Equal(t, []string{test.want}, images(event.Images))
		})
	}
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverHarbor, `{"type":"DELETE_ARTIFACT","event_data":{}}`).Kind)
	require.Equal(t, "no image in it", parse(t, v1alpha1.ReceiverHarbor, `{"type":"PUSH_ARTIFACT","event_data":{}}`).Why)
}

func TestADeliveryWithoutAnIDIsToldApartByItsBody(t *testing.T) {
	t.Parallel()
	one, again := parse(t, v1alpha1.ReceiverHarbor, harborPush("", "1")), parse(t, v1alpha1.ReceiverHarbor, harborPush("", "1"))
	require.Equal(t, one.ID, again.ID)
	require.NotEqual(t, one.ID, parse(t, v1alpha1.ReceiverHarbor, harborPush("", "2")).ID)
}

func distributionEvent(id, action, mediaType, tag string) string {
	return fmt.Sprintf(`{"id":%q,"action":%q,"target":{"mediaType":%q,"digest":%q,"repository":"shop/web","tag":%q},"request":{"host":"registry.example.com:5000"}}`, id, action, mediaType, digest, tag)
}

func TestARegistryTellsOfImagesAndNotOfTheirLayers(t *testing.T) {
	t.Parallel()
	const index, layer = "application/vnd.oci.image.index.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"
	one := parse(t, v1alpha1.ReceiverDistribution, `{"events":[`+distributionEvent("one", "push", index, "1")+`]}`)
	require.Equal(t, "one", one.ID)
	require.Equal(t, []string{"registry.example.com:5000/shop/web:1@" + digest}, images(one.Images))

	several := parse(t, v1alpha1.ReceiverDistribution, `{"events":[`+strings.Join([]string{
		distributionEvent("a", "pull", index, "1"), distributionEvent("b", "push", layer, ""), distributionEvent("c", "push", "application/vnd.docker.distribution.manifest.v2+json", "1"),
		distributionEvent("d", "push", "application/vnd.oci.image.manifest.v1+json", ""), distributionEvent("e", "push", index, "1"),
	}, ",")+`]}`)
	require.Equal(t, []string{"registry.example.com:5000/shop/web:1@" + digest, "registry.example.com:5000/shop/web@" + digest}, images(several.Images), "each once")
	require.Equal(t, "push", several.Name)
	require.True(t, strings.HasPrefix(several.ID, "sha256:"))

	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverDistribution, `{"events":[]}`).Kind)
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverDistribution, `{"events":[`+distributionEvent("a", "pull", index, "1")+`]}`).Kind)
}

func TestUnsignedSendersTellThatAnImageWasPushed(t *testing.T) {
	t.Parallel()
	hub := parse(t, v1alpha1.ReceiverUnsigned, `{"push_data":{"tag":"latest","pusher":"x"},"repository":{"repo_name":"Team/Web","name":"web"}}`)
	require.Equal(t, []string{"docker.io/team/web:latest"}, images(hub.Images))
	official := parse(t, v1alpha1.ReceiverUnsigned, `{"push_data":{"tag":"3"},"repository":{"repo_name":"alpine"}}`)
	require.Equal(t, []string{"docker.io/library/alpine:3"}, images(official.Images))
	quay := parse(t, v1alpha1.ReceiverUnsigned, `{"name":"web","repository":"team/web","docker_url":"quay.io/team/web","updated_tags":["latest","1"]}`)
	require.Equal(t, []string{"quay.io/team/web:latest", "quay.io/team/web:1"}, images(quay.Images))
	require.Equal(t, []string{"quay.io/team/web"}, images(parse(t, v1alpha1.ReceiverUnsigned, `{"docker_url":"quay.io/team/web","updated_tags":[]}`).Images))
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverUnsigned, `{}`).Kind)
}

func TestAReferenceNamesAnImage(t *testing.T) {
	t.Parallel()
	for reference, want := range map[string]string{
		"alpine": "docker.io/library/alpine", "alpine:3": "docker.io/library/alpine:3", "team/web": "docker.io/team/web", "localhost/web": "localhost/web",
		"registry.example.com:5000/web:1@" + digest: "registry.example.com:5000/web:1@" + digest, "Registry.Example.com/web": "registry.example.com/web",
		"index.docker.io/library/alpine": "docker.io/library/alpine",
	} {
		image, found := webhook.ParseImage(reference)
		require.True(t, found, reference)
		require.Equal(t, want, image.String())
	}
	for _, reference := range []string{"", ":", "registry.example.com/", "registry.example.com/a//b", "registry.example.com/a b", "-.example.com:x/a", "registry.example.com/" + strings.Repeat("a", 256)} {
		_, found := webhook.ParseImage(reference)
		require.False(t, found, reference)
	}
}
