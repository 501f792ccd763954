package simulate

import (
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// turn decides, as planning does, what becomes of the build's turn in a pipeline, and who has the
// turn now. What else is under way there is known from status.lastRun, which is the newest run:
// older ones that go on beside it are not seen.
func (s *simulation) turn(pipeline *v1alpha1.CdPipeline, held bool) (own trigger.Move, holder string) {
	mine := trigger.Turn{Build: s.build.Name, Place: trigger.Place{CreatedAt: s.build.CreatedAt}, State: trigger.TurnWaiting}
	if held {
		mine.State = trigger.TurnYielded
	}
	turns, newest := []trigger.Turn{mine}, trigger.Place{}
	if last := pipeline.Status.LastRun; last != nil && last.BuildName != s.build.Name {
		if build := s.objects.Build(last.BuildName); build != nil {
			newest.CreatedAt = build.CreationTimestamp.Time
		}
		if state := stateOf(last.Phase); state != trigger.TurnEnded {
			turns = append(turns, trigger.Turn{Build: last.BuildName, Place: newest, State: state})
			holder = last.BuildName
		}
	}
	return trigger.Order(pipeline.Spec.ConcurrencyPolicy, newest, turns)[0], holder
}

// stateOf is the state of a turn by that of its run's stage.
func stateOf(phase string) trigger.TurnState {
	switch phase {
	case "Held":
		return trigger.TurnYielded
	case "Pending", "Submitting", "Submitted", "Running":
		return trigger.TurnActive
	default:
		return trigger.TurnEnded
	}
}
