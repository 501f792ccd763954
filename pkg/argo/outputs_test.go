package argo

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// listOf is the JSON list that a build of these artifacts gives.
func listOf(artifacts ...v1alpha1.Artifact) string {
	text, err := json.Marshal(artifacts)
	if err != nil {
		panic(err)
	}
	return string(text)
}

var (
	shop, cart = given.Artifact(1), given.Artifact(2)
	// produced are the outputs of a build of one image.
	produced = map[string]string{"image": shop.Image, "digest": shop.Digest}
)

// with is the outputs with another value of one.
func with(outputs map[string]string, name, value string) map[string]string {
	changed := map[string]string{name: value}
	for other, value := range outputs {
		if other != name {
			changed[other] = value
		}
	}
	return changed
}

func TestArtifactsComeFromTheGlobalOutputs(t *testing.T) {
	t.Parallel()
	renamed := v1alpha1.BuildOutputs{Image: "the-image", Digest: "the-digest", Artifacts: "all"}
	for sentence, test := range map[string]struct {
		outputs map[string]string
		names   v1alpha1.BuildOutputs
		want    []v1alpha1.Artifact
	}{
		"one image and its digest":      {produced, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop}},
		"a list":                        {map[string]string{"artifacts": listOf(shop, cart)}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop, cart}},
		"a list goes before the image":  {with(produced, "artifacts", listOf(cart)), v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{cart}},
		"an artifact twice is one":      {map[string]string{"artifacts": listOf(shop, cart, shop)}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop, cart}},
		"an image with two digests":     {map[string]string{"artifacts": listOf(shop, v1alpha1.Artifact{Image: shop.Image, Digest: cart.Digest})}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop, {Image: shop.Image, Digest: cart.Digest}}},
		"fields that are not known":     {map[string]string{"artifacts": `[{"image":"` + shop.Image + `","digest":"` + shop.Digest + `","size":5}]`}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop}},
		"white space around the values": {map[string]string{"image": " " + shop.Image + "\n", "digest": "\t" + shop.Digest + "\r\n"}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop}},
		"white space in a list":         {map[string]string{"artifacts": "\n" + listOf(v1alpha1.Artifact{Image: shop.Image + "\n", Digest: shop.Digest}) + "\n"}, v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{shop}},
		"other names of an image":       {map[string]string{"the-image": shop.Image, "the-digest": shop.Digest, "image": "no image!"}, renamed, []v1alpha1.Artifact{shop}},
		"another name of a list":        {with(produced, "all", listOf(cart)), renamed, []v1alpha1.Artifact{cart}},
		"a name that is set alone":      {map[string]string{"the-image": shop.Image, "digest": shop.Digest}, v1alpha1.BuildOutputs{Image: "the-image"}, []v1alpha1.Artifact{shop}},
		"as many as a build can have":   {map[string]string{"artifacts": listOf(given.Artifacts(256)...)}, v1alpha1.BuildOutputs{}, given.Artifacts(256)},
		"more than that, with the same": {map[string]string{"artifacts": listOf(append(given.Artifacts(256), given.Artifacts(256)...)...)}, v1alpha1.BuildOutputs{}, given.Artifacts(256)},
		"an image without a tag":        {with(produced, "image", "localhost:5000/shop"), v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{{Image: "localhost:5000/shop", Digest: shop.Digest}}},
		"a digest of SHA-512":           {with(produced, "digest", "sha512:"+strings.Repeat("0a", 64)), v1alpha1.BuildOutputs{}, []v1alpha1.Artifact{{Image: shop.Image, Digest: "sha512:" + strings.Repeat("0a", 64)}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			artifacts, err := Artifacts(test.outputs, test.names)
			require.NoError(t, err)
			require.Equal(t, test.want, artifacts)
		})
	}
}

func TestOutputsThatAreNoArtifactsAreToldAsTheyWereFound(t *testing.T) {
	t.Parallel()
	digest := func(value string) map[string]string { return with(produced, "digest", value) }
	image := func(value string) map[string]string { return with(produced, "image", value) }
	list := func(value string) map[string]string { return with(produced, "artifacts", value) }
	many := map[string]string{}
	for i := range 12 {
		many[fmt.Sprintf("o%02d", i)] = ""
	}
	const mend = ": give the template's outputs these names with globalName, or set spec.outputs of the CiPipeline"
	for sentence, test := range map[string]struct {
		outputs map[string]string
		want    string
	}{
		"there are none":                    {nil, "the Workflow has no global output parameters image and digest, nor artifacts; it has none" + mend},
		"there is an image alone":           {map[string]string{"image": shop.Image}, "it has image" + mend},
		"there is a digest alone":           {map[string]string{"digest": shop.Digest, "Image": shop.Image}, "it has Image, digest" + mend},
		"there are many others":             {many, "it has o00, o01, o02, o03, o04, o05, o06, o07, o08, o09, 2 more" + mend},
		"the image is empty":                {image(""), `"" is no image`},
		"the image has a scheme":            {image("https://" + shop.Image), `"https://` + shop.Image + `" is no image: a repository and perhaps a tag, without a scheme and a digest`},
		"the image has a digest":            {image(shop.Image + "@" + shop.Digest), "is no image"},
		"the image has capitals":            {image("registry.example.com/Shop:1"), "is no image"},
		"the image has a space":             {image("registry.example.com/shop :1"), "is no image"},
		"the image has two lines":           {image(shop.Image + "\n" + cart.Image), "is no image"},
		"Argo would evaluate the image":     {image("registry.example.com/{{workflow.name}}"), "is no image"},
		"the image is too long":             {image("registry.example.com/" + strings.Repeat("a", 512)), "is no image"},
		"the digest is empty":               {digest(""), `"" of image ` + shop.Image + " is no digest: sha256: and 64 hexadecimal digits in lower case"},
		"the digest is in capitals":         {digest("sha256:" + strings.ToUpper(strings.TrimPrefix(shop.Digest, "sha256:"))), "is no digest"},
		"the digest's algorithm is in such": {digest("SHA256:" + strings.TrimPrefix(shop.Digest, "sha256:")), "is no digest"},
		"the digest has no algorithm":       {digest(strings.TrimPrefix(shop.Digest, "sha256:")), "is no digest"},
		"the digest is too short":           {digest(shop.Digest[:70]), "is no digest"},
		"the digest is too long":            {digest(shop.Digest + "0"), "is no digest"},
		"the list is empty":                 {list("[]"), "the output parameter artifacts is an empty list"},
		"the list is null":                  {list("null"), "the output parameter artifacts is an empty list"},
		"the list is the empty text":        {list(""), `the output parameter artifacts is not a JSON list of objects with image and digest: ""`},
		"the list is an object":             {list(`{"image":"a"}`), `is not a JSON list of objects with image and digest: "{\"image\":\"a\"}"`},
		"the list is cut off":               {list(listOf(shop)[:20]), "is not a JSON list"},
		"the list is of texts":              {list(`["` + shop.Image + `"]`), "is not a JSON list"},
		"the list has a number":             {list(`[{"image":5,"digest":"x"}]`), "is not a JSON list"},
		"two lists":                         {list(listOf(shop) + listOf(cart)), "is not a JSON list"},
		"the list has an empty object":      {list(`[{}]`), `"" is no image`},
		"the list has null":                 {list(`[null]`), `"" is no image`},
		"one of the list is bad":            {list(listOf(shop, v1alpha1.Artifact{Image: cart.Image, Digest: "latest"})), `"latest" of image ` + cart.Image + " is no digest"},
		"the list is too long":              {list(listOf(given.Artifacts(257)...)), "the build has 257 artifacts, and at most 256 can be triggered"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			artifacts, err := Artifacts(test.outputs, v1alpha1.BuildOutputs{})
			require.ErrorContains(t, err, test.want)
			require.Empty(t, artifacts)
			require.Less(t, len(err.Error()), 2048)
		})
	}
}

func TestAMissingOutputIsToldByTheNamesOfThePipeline(t *testing.T) {
	t.Parallel()
	_, err := Artifacts(produced, v1alpha1.BuildOutputs{Image: "the-image", Artifacts: "all"})
	require.ErrorContains(t, err, "no global output parameters the-image and digest, nor all; it has digest, image")
}

func TestGlobalOutputsAreReadAsArgoWritesThem(t *testing.T) {
	t.Parallel()
	workflow := func(status any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": status}}
	}
	outputs := func(parameters ...any) any {
		return map[string]any{"outputs": map[string]any{"parameters": parameters}}
	}
	for sentence, test := range map[string]struct {
		status any
		want   map[string]string
	}{
		"texts":               {outputs(map[string]any{"name": "image", "value": "a", "globalName": "x"}), map[string]string{"image": "a"}},
		"a number":            {outputs(map[string]any{"name": "n", "value": int64(7)}), map[string]string{"n": "7"}},
		"no value":            {outputs(map[string]any{"name": "image"}), map[string]string{"image": ""}},
		"no name":             {outputs(map[string]any{"value": "a"}, "no parameter"), map[string]string{}},
		"no outputs":          {map[string]any{}, map[string]string{}},
		"outputs of any kind": {map[string]any{"outputs": "nonsense"}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, GlobalOutputs(workflow(test.status)))
		})
	}
}

// FuzzArtifacts gives any outputs: what comes of them a CiBuild can hold, and a message that
// is short enough for its status.
func FuzzArtifacts(f *testing.F) {
	f.Add(shop.Image, shop.Digest, "", false)
	f.Add("https://x", "sha256:", listOf(shop, cart), true)
	f.Add("", "", `[{"image":"a","digest":"b"},null]`, true)
	f.Add("\xff", "\x00", "[[[[", true)
	f.Fuzz(func(t *testing.T, image, digest, list string, hasList bool) {
		outputs := map[string]string{"image": image, "digest": digest}
		if hasList {
			outputs["artifacts"] = list
		}
		artifacts, err := Artifacts(outputs, v1alpha1.BuildOutputs{})
		if err != nil {
			require.Empty(t, artifacts)
			require.Less(t, len(err.Error()), 4096)
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		require.NotEmpty(t, artifacts)
		require.LessOrEqual(t, len(artifacts), maxArtifacts)
		for i, artifact := range artifacts {
			require.Regexp(t, imageForm, artifact.Image)
			require.Regexp(t, digestForm, artifact.Digest)
			require.LessOrEqual(t, len(artifact.Image), 512)
			require.False(t, slices.Contains(artifacts[:i], artifact))
		}
	})
}
