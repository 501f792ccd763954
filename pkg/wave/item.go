package wave

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// State is where one pipeline stands in a wave.
type State string

// The states. The last three are ends.
const (
	// Deferred: another of its base images may be about to change as well.
	Deferred State = "Deferred"
	// Pending: its build has not begun.
	Pending State = "Pending"
	// Building: its build is committed to.
	Building State = "Building"
	// Succeeded: its build has ended well.
	Succeeded State = "Succeeded"
	// Failed: its build has ended otherwise.
	Failed State = "Failed"
	// Skipped: it has no build in this wave.
	Skipped State = "Skipped"
)

// HasEnded tells whether nothing more comes of it.
func (s State) HasEnded() bool { return s == Succeeded || s == Failed || s == Skipped }

// Item is one pipeline in a wave.
type Item struct {
	Pipeline    types.NamespacedName
	PipelineUID string
	// BuildName is the CiBuild's, whether or not it exists; BuildUID is "" until it does.
	BuildName, BuildUID string
	State               State
	Message             string
	EndedAt             time.Time
}

// maxName is the longest name that a CiBuild may have.
const maxName = 253

// BuildName is the name of a pipeline's build in a wave: a pure function, so that making it
// twice makes one.
func BuildName(pipeline, pipelineUID, imageUID string, number int64) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{imageUID, strconv.FormatInt(number, 10), pipelineUID}, "/")))
	suffix := fmt.Sprintf("-w%d-%s", number, hex.EncodeToString(sum[:5]))
	return strings.TrimRight(pipeline[:min(len(pipeline), maxName-len(suffix))], "-.") + suffix
}

// Begin returns the items of a wave of a base image: one for each pipeline that is built on it.
func Begin(g *Graph, base types.NamespacedName, imageUID string, number int64) []Item {
	items := make([]Item, 0, len(g.dependents[base]))
	for _, key := range g.dependents[base] {
		pipeline := g.pipelines[key]
		item := Item{
			Pipeline: key, PipelineUID: string(pipeline.UID), State: Pending,
			BuildName: BuildName(key.Name, string(pipeline.UID), imageUID, number),
		}
		switch other := g.another(pipeline, base); {
		case g.isInRing(key, base):
			item.State, item.Message = Skipped, "it builds what it is built on: "+g.Ring(base)
		case pipeline.Spec.Suspend:
			item.State, item.Message = Skipped, "the CiPipeline is suspended"
		case pipeline.Spec.Workflow == nil:
			item.State, item.Message = Skipped, "the CiPipeline has no spec.workflow: its builds run elsewhere"
		case other != "":
			item.State, item.Message = Deferred, waitsFor(other)
		}
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Pipeline.String(), b.Pipeline.String()) })
	return items
}

// another is a base image, beside that of the wave, of which a change rebuilds the pipeline as
// well; empty where there is none.
func (g *Graph) another(pipeline *v1alpha1.CiPipeline, base types.NamespacedName) string {
	for _, other := range g.rebuilders(pipeline) {
		if other != base {
			return other.Name
		}
	}
	return ""
}

func waitsFor(base string) string { return "BaseImage " + base + " may be rebuilt first" }
