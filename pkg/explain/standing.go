package explain

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Standing is what is known of a pipeline itself.
type Standing struct {
	Namespace, Pipeline string
	Parent              Parent
	Suspended, Held     bool
	// Frozen is what a freeze in force says; empty where there is none.
	Frozen    string
	DeletedAt *time.Time
}

// String says how the pipeline stands.
func (s Standing) String() string {
	if s.DeletedAt != nil {
		return fmt.Sprintf("CdPipeline %s was deleted by %s", s.Pipeline, Clock(*s.DeletedAt))
	}
	text := fmt.Sprintf("CdPipeline %s hangs below %s %s", s.Pipeline, s.Parent.Kind, s.Parent.Name)
	steered := trigger.Steered(&v1alpha1.CdPipeline{Spec: v1alpha1.CdPipelineSpec{Suspend: s.Suspended, Hold: s.Held}}, trigger.Readiness{Ready: true})
	if steered.Message != "" {
		text += "; " + steered.Message
	}
	return text + after("; ", s.Frozen)
}

// Commands are those that change how the pipeline stands.
func (s Standing) Commands() []string {
	switch {
	case s.DeletedAt != nil:
		return []string{}
	case s.Suspended:
		return []string{Facts{Namespace: s.Namespace}.patch("cdpipeline", s.Pipeline)}
	case s.Held:
		return []string{penstock("release", s.Pipeline, s.Namespace)}
	default:
		return []string{}
	}
}
