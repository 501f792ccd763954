package delivery

import (
	"context"

	"github.com/penstock-cd/penstock/pkg/webhook"
)

// check brings the checks forward of the base images that were pushed. It believes nothing that
// was sent but that there is something new: the registry itself is asked for the digest.
func (w *Worker) check(ctx context.Context, j job) (result, error) {
	var names []string
	for _, image := range j.event.Images {
		if w.Checks == nil {
			break
		}
		var wanted []string
		err := w.withRows(func() (err error) {
			wanted, err = w.Checks.WantBaseImageChecks(ctx, j.delivery.Namespace, repositoryOf(image), image.Tag)
			return err
		})
		if err != nil {
			return result{}, err
		}
		names = append(names, wanted...)
	}
	if len(names) == 0 {
		return noMatch("no BaseImage here is %s", j.event.Images[0]), nil
	}
	return result{CheckWanted, "CheckWanted " + list(names)}, nil
}

// repositoryOf is the name of a repository as base images have it.
func repositoryOf(image webhook.Image) string {
	if image.Host == "docker.io" {
		image.Host = "index.docker.io"
	}
	return image.Name()
}
