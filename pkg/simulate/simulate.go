package simulate

import (
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Question is what is to be simulated.
type Question struct {
	Objects *Objects
	// Build is the name of a build among the objects. It is taken to succeed at Now.
	Build string
	Now   time.Time
	// Artifacts are what it produces; empty means what its status has.
	Artifacts []v1alpha1.Artifact
}

// NotFoundError is an object that the simulation needs and that there is not.
type NotFoundError struct{ Kind, Name string }

func (e *NotFoundError) Error() string { return fmt.Sprintf("there is no %s %q", e.Kind, e.Name) }

// Build decides for every pipeline below the build. It returns a *NotFoundError where there is no
// such build, or where its CiPipeline does not exist.
func Build(decider trigger.Decider, asked Question) (*rest.Simulation, error) {
	build := asked.Objects.Build(asked.Build)
	if build == nil {
		return nil, &NotFoundError{"CiBuild", asked.Build}
	}
	objects := asked.Objects.in(build.Namespace)
	parent := objects.ciPipeline(build.Spec.PipelineRef.Name)
	if parent == nil {
		return nil, &NotFoundError{"CiPipeline", build.Spec.PipelineRef.Name}
	}
	facts := trigger.FactsOf(build)
	facts.Phase = v1alpha1.BuildSucceeded
	if facts.CreatedAt.IsZero() { // of a file
		facts.CreatedAt = asked.Now
	}
	artifacts, notes := artifactsOf(build, asked.Artifacts)
	s := &simulation{objects: objects, build: facts, now: asked.Now, waits: map[string]string{}}
	s.decide(decider, parent, artifacts)
	simulated := &rest.Simulation{Build: build.Name, Notes: append(notes, s.notes(decider, build)...), Pipelines: s.explained()}
	return simulated, nil
}

// artifactsOf are what the build produces, and what is to be said of them.
func artifactsOf(build *v1alpha1.CiBuild, given []v1alpha1.Artifact) (artifacts []v1alpha1.Artifact, notes []string) {
	switch {
	case len(given) > 0:
		return given, []string{}
	case len(build.Status.Artifacts) > 0:
		return build.Status.Artifacts, []string{}
	default:
		return []v1alpha1.Artifact{{}}, []string{"the build has no artifacts yet: filters are given one with an empty image and digest"}
	}
}

// simulation is one call of Build under way.
type simulation struct {
	objects   *Objects
	build     trigger.Build
	now       time.Time
	decisions []trigger.Decision
	// waits is what the runs of pipelines would wait for, by their names.
	waits map[string]string
}

// decide decides as planning does: for the build first, then whose turn it is in each pipeline.
func (s *simulation) decide(decider trigger.Decider, parent *v1alpha1.CiPipeline, artifacts []v1alpha1.Artifact) {
	s.decisions = decider.Build(s.build, parent, artifacts, s.objects)
	for _, decision := range s.decisions {
		if _, decided := s.waits[decision.Pipeline.Name]; decided || !decision.StartsRun() {
			continue
		}
		s.waits[decision.Pipeline.Name] = ""
		s.order(decision.Pipeline)
	}
}

// order decides whose turn it is in a pipeline, and what holds the first stage there.
func (s *simulation) order(pipeline *v1alpha1.CdPipeline) {
	stage := trigger.Stages(pipeline, "")[0]
	hold := trigger.HoldOf(pipeline, stage, false)
	move, holder := s.turn(pipeline, hold != trigger.Hold{})
	switch {
	case move.Kind == trigger.MoveSupersede:
		s.decisions = trigger.Overtaken(s.decisions, string(pipeline.UID), trigger.OvertakenBy(move.For))
		return
	case hold == trigger.Hold{} && move.Kind == trigger.MoveStay:
		hold = trigger.Hold{Reason: v1alpha1.ReasonTurn, Message: explain.TurnOf(holder)}
	case hold == trigger.Hold{}:
		hold = trigger.TimeHold(pipeline, stage, trigger.Freeze{}, s.now)
	}
	if hold != (trigger.Hold{}) {
		s.waits[pipeline.Name] = explain.WaitsFor(hold.Reason) + ": " + hold.Message
	}
}

// notes say what is wrong with pipelines, and what the simulation does not show.
func (s *simulation) notes(decider trigger.Decider, build *v1alpha1.CiBuild) (notes []string) {
	if build.Status.Phase.IsTerminal() {
		notes = append(notes, fmt.Sprintf("the build has ended as %s: what was decided is told by kubectl penstock explain build %s", build.Status.Phase, build.Name))
	}
	if len(s.decisions) == 0 {
		notes = append(notes, fmt.Sprintf("no CdPipeline hangs below CiPipeline %s", s.build.CiPipeline))
	}
	for i := range s.objects.CdPipelines {
		pipeline := &s.objects.CdPipelines[i]
		if ready := decider.Ready(pipeline, s.objects); !ready.Ready {
			notes = append(notes, fmt.Sprintf("CdPipeline %s: %s: %s", pipeline.Name, ready.Reason, ready.Message))
		}
	}
	return notes
}

func (s *simulation) explained() []rest.PipelineExplanation {
	all := make([]rest.PipelineExplanation, len(s.decisions))
	for i, decision := range s.decisions {
		told := rest.Decision{
			Build: s.build.Name, Pipeline: decision.Pipeline.Name, Image: decision.Artifact.Image, Digest: decision.Artifact.Digest,
			Outcome: string(decision.Outcome), Reason: string(decision.Reason), Message: decision.Message,
		}
		all[i] = rest.PipelineExplanation{
			Pipeline: told.Pipeline, Build: told.Build, Image: told.Image, Outcome: told.Outcome, Reason: told.Reason,
			Decided: explain.Decided(told), Rule: explain.Rule(decision.Reason), Became: []string{}, Commands: []string{},
		}
		if decision.StartsRun() {
			all[i].Waits = s.waits[told.Pipeline]
		}
	}
	return all
}
