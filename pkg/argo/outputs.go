package argo

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
)

// maxArtifacts is how many artifacts a build can have, as the CiBuild's schema says.
const maxArtifacts = 256

// The forms of an image and a digest, as the CiBuild's schema has them.
var (
	imageForm  = regexp.MustCompile(`^(((localhost|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]{1,5})/)?[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127})?$`)
	digestForm = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
)

// GlobalOutputs returns the global output parameters of a Workflow that has ended. One
// without a value is the empty text.
func GlobalOutputs(workflow *unstructured.Unstructured) map[string]string {
	list, _, err := unstructured.NestedSlice(workflow.Object, "status", "outputs", "parameters")
	if err != nil {
		return nil
	}
	outputs := map[string]string{}
	for _, one := range list {
		fields, _ := one.(map[string]any)
		name, _ := fields["name"].(string)
		if name == "" {
			continue
		}
		outputs[name] = ""
		if value := text(fields["value"]); value != nil {
			outputs[name] = *value
		}
	}
	return outputs
}

// Artifacts returns what a build's Workflow says that it produced, each image and digest once.
// The error says what was found instead.
func Artifacts(outputs map[string]string, names v1alpha1.BuildOutputs) ([]v1alpha1.Artifact, error) {
	names = withDefaults(names)
	var artifacts []v1alpha1.Artifact
	if list, has := outputs[names.Artifacts]; has {
		if err := json.Unmarshal([]byte(list), &artifacts); err != nil {
			return nil, fmt.Errorf("the output parameter %s is not a JSON list of objects with image and digest: %q", names.Artifacts, clip.Text(list, maxValue))
		}
		if len(artifacts) == 0 {
			return nil, fmt.Errorf("the output parameter %s is an empty list", names.Artifacts)
		}
	} else {
		image, hasImage := outputs[names.Image]
		digest, hasDigest := outputs[names.Digest]
		if !hasImage || !hasDigest {
			return nil, fmt.Errorf("the Workflow has no global output parameters %s and %s, nor %s; it has %s: give the template's outputs these names with globalName, or set spec.outputs of the CiPipeline",
				names.Image, names.Digest, names.Artifacts, listedNames(outputs))
		}
		artifacts = []v1alpha1.Artifact{{Image: image, Digest: digest}}
	}
	return CheckedArtifacts(artifacts)
}

func withDefaults(names v1alpha1.BuildOutputs) v1alpha1.BuildOutputs {
	defaults := v1alpha1.BuildOutputs{Image: "image", Digest: "digest", Artifacts: "artifacts"}
	if names.Image != "" {
		defaults.Image = names.Image
	}
	if names.Digest != "" {
		defaults.Digest = names.Digest
	}
	if names.Artifacts != "" {
		defaults.Artifacts = names.Artifacts
	}
	return defaults
}

// CheckedArtifacts returns artifacts without spaces around them, each once. It fails where a
// CiBuild can't hold one of them, or all.
func CheckedArtifacts(artifacts []v1alpha1.Artifact) ([]v1alpha1.Artifact, error) {
	var checked []v1alpha1.Artifact
	for _, artifact := range artifacts {
		artifact.Image, artifact.Digest = strings.TrimSpace(artifact.Image), strings.TrimSpace(artifact.Digest)
		if len(artifact.Image) > 512 || !imageForm.MatchString(artifact.Image) {
			return nil, fmt.Errorf("%q is no image: a repository and perhaps a tag, without a scheme and a digest, such as registry.example.com/shop:1.2", clip.Text(artifact.Image, maxValue))
		}
		if !digestForm.MatchString(artifact.Digest) {
			return nil, fmt.Errorf("%q of image %s is no digest: sha256: and 64 hexadecimal digits in lower case", clip.Text(artifact.Digest, maxValue), artifact.Image)
		}
		if !slices.Contains(checked, artifact) {
			checked = append(checked, artifact)
		}
	}
	if len(checked) > maxArtifacts {
		return nil, fmt.Errorf("the build has %d artifacts, and at most %d can be triggered", len(checked), maxArtifacts)
	}
	return checked, nil
}

// listedNames are the names of the parameters that there are.
func listedNames(outputs map[string]string) string {
	if len(outputs) == 0 {
		return "none"
	}
	names := make([]string, 0, len(outputs))
	for name := range outputs {
		names = append(names, clip.Text(name, maxValue))
	}
	slices.Sort(names)
	if more := len(names) - maxListed; more > 0 {
		names = append(names[:maxListed], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
