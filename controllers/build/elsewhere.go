package build

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Elsewhere are the other clusters where builds run.
type Elsewhere interface {
	// Templates returns who reads the templates of a cluster, from memory; false while that is
	// not known.
	Templates(cluster string) (client.Reader, bool)
	// Workflows returns who reads Workflows at the API server of a cluster; false while it does
	// not answer.
	Workflows(cluster string) (client.Reader, bool)
	// Recorded is told of Workflows of a cluster whose outputs are not needed any more.
	Recorded(cluster string, workflows []types.NamespacedName)
}

// templateExists tells whether the template of a pipeline's builds is there. In another cluster
// it is believed to be, until a build finds that it is not; known is false where the cluster does
// not answer.
func (c Config) templateExists(ctx context.Context, cluster string, pipeline *v1alpha1.CiPipeline) (exists, known bool, err error) {
	reader := c.Cache
	if cluster != "" {
		if c.Elsewhere == nil {
			return true, false, nil
		}
		if reader, known = c.Elsewhere.Templates(cluster); !known {
			return true, false, nil
		}
	}
	hold, err := argo.TemplateHold(ctx, reader, cluster, pipeline.Namespace, pipeline.Spec.Workflow.TemplateRef)
	if errors.Is(err, argo.ErrNotKnown) {
		return true, false, nil
	}
	return hold == (trigger.Hold{}), true, err
}

// errAway means that the end of a build can't be told now.
var errAway = errors.New("the build's cluster does not answer")

// workflowsOf returns who reads Workflows where a build has run.
func (c Config) workflowsOf(cluster string) (client.Reader, error) {
	if cluster == "" || c.Elsewhere == nil {
		return c.Live, nil
	}
	if reader, answers := c.Elsewhere.Workflows(cluster); answers {
		return reader, nil
	}
	return nil, errAway
}

// release lets Workflows go.
func (c Config) release(cluster string, workflows []types.NamespacedName) {
	if cluster == "" || c.Elsewhere == nil {
		c.Recorded(workflows)
		return
	}
	c.Elsewhere.Recorded(cluster, workflows)
}
