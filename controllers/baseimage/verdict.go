package baseimage

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/registry"
)

// verdict is what a check came to.
type verdict struct {
	reason  v1alpha1.Reason
	message string
	// digest is what was found, where reason is Checked.
	digest string
	// until is when the registry may be asked again that asks for a pause.
	until time.Time
	// isOwn: Penstock itself has failed, which says nothing of the image.
	isOwn bool
}

const checkedMessage = "the registry answers, and the digest is that of the last check"

// refused is the verdict of a registry's refusal, with what to do.
func refused(failure *registry.Error) verdict {
	if failure.Class == registry.RateLimited {
		v := paused(failure.Registry, failure.Until)
		v.message = failure.Error() + ": " + v.message
		return v
	}
	advice := map[registry.Class]string{
		registry.NotFound:      "check the repository and the tag in spec.image",
		registry.Refused:       "check spec.pullSecretRef, and that the repository exists: registries refuse what they do not show",
		registry.Unreachable:   "check spec.image, and that Penstock reaches the registry",
		registry.InvalidAnswer: "check that spec.image is of a registry of container images",
	}[failure.Class]
	return verdict{reason: failure.Class, message: failure.Error() + ": " + advice}
}

// paused is the verdict of images of a registry that asks to be left alone.
func paused(host string, until time.Time) verdict {
	return verdict{reason: v1alpha1.ReasonRateLimited, until: until, message: fmt.Sprintf("%s is asked nothing until %s, since it has asked for a pause", host, clockOf(until))}
}

func clockOf(at time.Time) string { return at.UTC().Format("15:04:05 UTC") }
