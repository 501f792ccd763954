package wave

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Facts are what is known of the rebuilds since a wave began.
type Facts struct {
	// Began is when that was.
	Began time.Time
	// Bases are the base images, by name.
	Bases map[types.NamespacedName]BaseFacts
	// Items are the newest items of pipelines, of this wave and of those that began after it,
	// by the pipeline's UID.
	Items map[string]Item
}

// BaseFacts are what is known of one base image.
type BaseFacts struct {
	CheckedAt, ChangedAt time.Time
	// WaveIsDue: a change has not begun its wave.
	WaveIsDue bool
}

// course is what comes, or came, of a base image that is built here.
type course int

const (
	underWay course = iota
	unchanged
	changed
	notBuilt
)

// Undefer decides what becomes of an item that was deferred in a wave of base: it is built in
// this wave where what it waited for did not change, and by the wave of that where it did. The
// state is Deferred where nobody knows yet.
func (g *Graph) Undefer(base types.NamespacedName, item Item, facts Facts) (State, string) {
	pipeline := g.pipelines[item.Pipeline]
	if pipeline == nil {
		return Pending, ""
	}
	below := g.below(base)
	waits := false
	for _, upper := range g.BasesOf(pipeline) {
		if !below[upper] {
			continue
		}
		switch g.course(base, upper, facts, map[types.NamespacedName]bool{}) {
		case changed:
			return Skipped, fmt.Sprintf("it is built by the wave of BaseImage %s, which has changed as well", upper.Name)
		case notBuilt:
			return Skipped, fmt.Sprintf("BaseImage %s, which it is built on as well, was not rebuilt", upper.Name)
		case underWay:
			waits = true
		}
	}
	if waits {
		return Deferred, item.Message
	}
	return Pending, ""
}

// course looks up the way from an upper base image to the base of the wave.
func (g *Graph) course(root, base types.NamespacedName, facts Facts, seen map[types.NamespacedName]bool) course {
	known := facts.Bases[base]
	if known.ChangedAt.After(facts.Began) {
		return changed
	}
	builder, isBuilt := g.builder(base)
	pipeline := g.pipelines[builder]
	if !isBuilt || pipeline == nil || seen[base] {
		return unchanged
	}
	seen[base] = true
	item, hasItem := facts.Items[string(pipeline.UID)]
	switch {
	case hasItem && item.State == Failed:
		return notBuilt
	case hasItem && !item.State.HasEnded():
		return underWay
	case hasItem && item.State == Succeeded:
		if g.bases[base].Spec.Suspend || known.CheckedAt.After(item.EndedAt) {
			return unchanged
		}
		return underWay // whether the digest has changed is not looked at yet
	}
	return g.courseAbove(root, pipeline, facts, seen)
}

// courseAbove is what comes of a base image whose builder has no build: one comes where a base
// image of the builder has changed and the wave of that has not begun.
func (g *Graph) courseAbove(root types.NamespacedName, builder *v1alpha1.CiPipeline, facts Facts, seen map[types.NamespacedName]bool) course {
	result := unchanged
	for _, upper := range g.BasesOf(builder) {
		if upper == root || !g.below(root)[upper] {
			continue
		}
		switch g.course(root, upper, facts, seen) {
		case changed:
			if facts.Bases[upper].WaveIsDue {
				return underWay
			}
		case underWay:
			return underWay
		case notBuilt:
			result = notBuilt
		}
	}
	return result
}
