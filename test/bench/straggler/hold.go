package straggler

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/bench/product"
	"github.com/penstock-cd/penstock/test/given"
)

// hold makes every create take a unit, and those of stragglers many.
type hold struct {
	unit time.Duration
	slow sets.Set[string] // names of pipelines
}

// pick makes exactly the share of the pipelines stragglers, anywhere among them, and
// always the same in the same round.
func (h *hold) pick(family given.Family, round int) {
	h.slow = sets.New[string]()
	random := rand.New(rand.NewPCG(uint64(round), uint64(len(family))))
	for _, i := range random.Perm(len(family))[:int(float64(len(family))*slowShare)] {
		h.slow.Insert(family[i].Name)
	}
}

// wrap is for product.Options.Wrap.
func (h *hold) wrap(next http.RoundTripper) http.RoundTripper {
	return product.RoundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodPost {
			if err := h.wait(request); err != nil {
				return nil, err
			}
		}
		return next.RoundTrip(request)
	})
}

func (h *hold) wait(request *http.Request) error {
	pipeline, err := pipelineOf(request)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	long := h.unit
	if h.slow.Has(pipeline) {
		long *= slowness
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-request.Context().Done():
		return request.Context().Err()
	case <-timer.C:
		return nil
	}
}

// pipelineOf reads from a create whose Workflow it makes.
func pipelineOf(request *http.Request) (string, error) {
	body, err := request.GetBody()
	if err != nil {
		return "", err
	}
	defer func() { _ = body.Close() }()
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	var workflow struct {
		Metadata struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(text, &workflow); err != nil {
		return "", err
	}
	return workflow.Metadata.Annotations[v1alpha1.AnnotationPipeline], nil
}
