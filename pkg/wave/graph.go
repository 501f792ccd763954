// Package wave decides how what is built on a base image is rebuilt: in which order, how much at
// once, and when to stop. All of it is pure.
package wave

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// Graph is which pipelines are built on which base images, and which base images they build.
type Graph struct {
	bases     map[types.NamespacedName]*v1alpha1.BaseImage
	pipelines map[types.NamespacedName]*v1alpha1.CiPipeline
	// dependents are the pipelines that are built on a base image which allows it.
	dependents map[types.NamespacedName][]types.NamespacedName
	// builds are the base images that a pipeline builds.
	builds map[types.NamespacedName][]types.NamespacedName
	// reach keeps the answers of reached, since most questions ask for them again.
	reach map[types.NamespacedName]map[types.NamespacedName]bool
}

// NewGraph returns the graph of what there is. It keeps pointers into the slices. One goroutine
// at a time may use it.
func NewGraph(bases []v1alpha1.BaseImage, pipelines []v1alpha1.CiPipeline) *Graph {
	g := &Graph{
		bases: map[types.NamespacedName]*v1alpha1.BaseImage{}, pipelines: map[types.NamespacedName]*v1alpha1.CiPipeline{},
		dependents: map[types.NamespacedName][]types.NamespacedName{}, builds: map[types.NamespacedName][]types.NamespacedName{},
		reach: map[types.NamespacedName]map[types.NamespacedName]bool{},
	}
	for i := range bases {
		base := &bases[i]
		key := types.NamespacedName{Namespace: base.Namespace, Name: base.Name}
		g.bases[key] = base
		if base.Spec.From != nil {
			builder := types.NamespacedName{Namespace: base.Namespace, Name: base.Spec.From.PipelineRef.Name}
			g.builds[builder] = append(g.builds[builder], key)
		}
	}
	for i := range pipelines {
		pipeline := &pipelines[i]
		key := types.NamespacedName{Namespace: pipeline.Namespace, Name: pipeline.Name}
		g.pipelines[key] = pipeline
		for _, base := range g.BasesOf(pipeline) {
			g.dependents[base] = append(g.dependents[base], key)
		}
	}
	return g
}

// BasesOf are the base images that a pipeline is built on, of those that exist and allow it.
func (g *Graph) BasesOf(pipeline *v1alpha1.CiPipeline) []types.NamespacedName {
	return slices.DeleteFunc(trigger.BaseImages(pipeline), func(key types.NamespacedName) bool {
		base := g.bases[key]
		return base == nil || !trigger.Allows(base, pipeline.Namespace)
	})
}

// Pipeline returns the pipeline of that name, or nil.
func (g *Graph) Pipeline(key types.NamespacedName) *v1alpha1.CiPipeline { return g.pipelines[key] }

// builder is the pipeline that builds a base image; nil where a registry is asked for it, and
// where the pipeline does not exist.
func (g *Graph) builder(base types.NamespacedName) *v1alpha1.CiPipeline {
	known := g.bases[base]
	if known == nil || known.Spec.From == nil {
		return nil
	}
	return g.pipelines[types.NamespacedName{Namespace: base.Namespace, Name: known.Spec.From.PipelineRef.Name}]
}

// reached are the base images that builds lead to from this one, through any number of
// pipelines. It holds the base image itself where that is in a ring.
func (g *Graph) reached(base types.NamespacedName) map[types.NamespacedName]bool {
	if found := g.reach[base]; found != nil {
		return found
	}
	found := g.walk(base, func(types.NamespacedName, types.NamespacedName) bool { return true })
	g.reach[base] = found
	return found
}

// below are the base images that a change of this one may change, through any number of waves.
// They never lead back to it: pipelines in a ring are not rebuilt.
func (g *Graph) below(base types.NamespacedName) map[types.NamespacedName]bool {
	return g.walk(base, func(from, pipeline types.NamespacedName) bool { return !g.isInRing(pipeline, from) })
}

// walk follows pipelines that are built on a base image to those that they build.
func (g *Graph) walk(base types.NamespacedName, follows func(from, pipeline types.NamespacedName) bool) map[types.NamespacedName]bool {
	found := map[types.NamespacedName]bool{}
	for next := []types.NamespacedName{base}; len(next) > 0; next = next[1:] {
		for _, pipeline := range g.dependents[next[0]] {
			for _, built := range g.builds[pipeline] {
				if !found[built] && follows(next[0], pipeline) {
					found[built] = true
					next = append(next, built)
				}
			}
		}
	}
	return found
}

// rebuilders are the base images of which a change rebuilds a pipeline.
func (g *Graph) rebuilders(pipeline *v1alpha1.CiPipeline) []types.NamespacedName {
	key := types.NamespacedName{Namespace: pipeline.Namespace, Name: pipeline.Name}
	return slices.DeleteFunc(g.BasesOf(pipeline), func(base types.NamespacedName) bool { return g.isInRing(key, base) })
}

// Ring returns the way from a base image back to itself, such as "BaseImage a, CiPipeline b,
// BaseImage a"; empty where there is none.
func (g *Graph) Ring(base types.NamespacedName) string {
	if !g.reached(base)[base] {
		return ""
	}
	path := g.way(base, base, map[types.NamespacedName]bool{})
	return "BaseImage " + base.Name + ", " + strings.Join(path, ", ")
}

// way is a path from a base image to another one.
func (g *Graph) way(from, to types.NamespacedName, seen map[types.NamespacedName]bool) []string {
	for _, pipeline := range g.dependents[from] {
		for _, built := range g.builds[pipeline] {
			step := []string{"CiPipeline " + pipeline.Name, "BaseImage " + built.Name}
			if built == to {
				return step
			}
			if seen[built] {
				continue
			}
			seen[built] = true
			if rest := g.way(built, to, seen); rest != nil {
				return append(step, rest...)
			}
		}
	}
	return nil
}

// isInRing tells whether a build of the pipeline leads back to a base image that it is built on.
func (g *Graph) isInRing(pipeline, base types.NamespacedName) bool {
	for _, built := range g.builds[pipeline] {
		if built == base || g.reached(built)[base] {
			return true
		}
	}
	return false
}
