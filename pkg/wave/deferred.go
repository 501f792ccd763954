package wave

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// CheckPatience is for how long after a build of a base image has succeeded it is waited until
// its digest is looked at: where the build has not made the image at all, that never comes.
const CheckPatience = 10 * time.Minute

// Facts are what is known of the rebuilds when a wave is looked at.
type Facts struct {
	// Began is when the wave began.
	Began time.Time
	// Bases are the base images, by name. They are read before Rebuilds, so that a change is
	// seen in one of them.
	Bases map[types.NamespacedName]BaseFacts
	// Rebuilds are the newest of pipelines that build base images, in any wave, by the
	// pipeline's UID.
	Rebuilds map[string]Rebuild
}

// BaseFacts are what is known of one base image.
type BaseFacts struct {
	CheckedAt time.Time
	// WaveBegan is when the newest wave of the base image began, unless that was cancelled.
	WaveBegan time.Time
	// WaveIsDue: a change has not begun its wave.
	WaveIsDue bool
}

// Rebuild is where a pipeline stands in a wave. One that has not begun, in a wave that does not
// run, is none.
type Rebuild struct {
	// Base is the base image of the wave.
	Base    types.NamespacedName
	State   State
	EndedAt time.Time
	// IsOld: it ended longer ago than CheckPatience.
	IsOld bool
}

// course is what comes, or came, of a base image since a wave began.
type course int

const (
	unchanged course = iota
	underWay
	changed
	notBuilt
)

// Look is a wave of a base image, seen with what is known of the others.
type Look struct {
	graph *Graph
	base  types.NamespacedName
	facts Facts
	// below are the base images that the wave may change; courses what came of those looked at.
	below   map[types.NamespacedName]bool
	courses map[types.NamespacedName]course
}

// Look returns what a wave of a base image looks like.
func (g *Graph) Look(base types.NamespacedName, facts Facts) *Look {
	return &Look{graph: g, base: base, facts: facts, below: g.below(base), courses: map[types.NamespacedName]course{}}
}

// Undefer decides what becomes of a deferred item of the wave: it is built in
// this wave where no other of its base images changes, and by the wave of another one where that
// does, so that both changes make one build. The state is Deferred where nobody knows yet.
func (l *Look) Undefer(item Item) (State, string) {
	pipeline := l.graph.Pipeline(item.Pipeline)
	if pipeline == nil {
		return Pending, ""
	}
	named := map[course]string{}
	for _, other := range l.graph.rebuilders(pipeline) {
		if other != l.base {
			named[l.course(other)] = other.Name
		}
	}
	switch {
	case named[changed] != "":
		return Skipped, fmt.Sprintf("it is built by the wave of BaseImage %s, which has changed as well", named[changed])
	case named[notBuilt] != "":
		return Skipped, fmt.Sprintf("BaseImage %s, which it is built on as well, was not rebuilt", named[notBuilt])
	case named[underWay] != "":
		return Deferred, waitsFor(named[underWay])
	}
	return Pending, ""
}

// course looks at another base image of a pipeline, and at what that is built on.
func (l *Look) course(base types.NamespacedName) course {
	known := l.facts.Bases[base]
	switch {
	case known.WaveBegan.After(l.facts.Began):
		return changed
	case l.graph.isSuspended(base):
		return unchanged // its change, if there is one, rebuilds when it goes on
	case known.WaveIsDue:
		return underWay
	}
	came := l.coming(base)
	if came == notBuilt && !l.below[base] {
		return unchanged // it was to be built for a change that is not this one
	}
	return came
}

// coming is what is to be expected of the pipeline that builds a base image.
func (l *Look) coming(base types.NamespacedName) course {
	came, known := l.courses[base]
	if !known {
		came = l.lookAbove(base)
		l.courses[base] = came
	}
	return came
}

func (l *Look) lookAbove(base types.NamespacedName) course {
	builder := l.graph.builder(base)
	if builder == nil {
		return unchanged
	}
	rebuild, isKnown := l.facts.Rebuilds[string(builder.UID)]
	switch {
	case isKnown && l.graph.isMoving(rebuild):
		return underWay
	case isKnown && rebuild.State == Succeeded && !rebuild.IsOld && !l.facts.Bases[base].CheckedAt.After(rebuild.EndedAt):
		return underWay // whether the digest has changed is not looked at yet
	}
	above := l.above(builder)
	switch isSince := isKnown && rebuild.EndedAt.After(l.facts.Began); {
	case above == underWay:
		return underWay
	case isSince && rebuild.State == Failed:
		return notBuilt
	case isSince:
		return unchanged
	}
	return above
}

// above is what a builder waits for: a change of what it is built on begins a wave, which builds
// it.
func (l *Look) above(builder *v1alpha1.CiPipeline) course {
	if !isRebuilt(builder) {
		return unchanged
	}
	came := unchanged
	for _, upper := range l.graph.rebuilders(builder) {
		switch {
		case l.graph.isSuspended(upper):
			continue
		case l.facts.Bases[upper].WaveIsDue:
			return underWay
		}
		switch l.coming(upper) {
		case underWay:
			return underWay
		case notBuilt:
			came = notBuilt
		}
	}
	return came
}

// isMoving tells whether a build comes, or goes on. In a wave of a suspended base image nothing
// begins.
func (g *Graph) isMoving(rebuild Rebuild) bool {
	return rebuild.State == Building || (!rebuild.State.HasEnded() && !g.isSuspended(rebuild.Base))
}

func (g *Graph) isSuspended(base types.NamespacedName) bool {
	known := g.bases[base]
	return known != nil && known.Spec.Suspend
}

// isRebuilt tells whether waves build a pipeline.
func isRebuilt(pipeline *v1alpha1.CiPipeline) bool {
	return !pipeline.Spec.Suspend && pipeline.Spec.Workflow != nil
}
