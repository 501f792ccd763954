package ui

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/graph"
)

// Sizes of the graph, in pixels.
const (
	boxWidth, boxHeight  = 216, 46
	columnGap, rowGap    = 56, 14
	nameLetters, padding = 26, 4
	// mostNodes is how many pipelines are drawn: further ones are folded into their parent.
	mostNodes = 300
)

// box is one pipeline in the picture.
type box struct {
	x, y             int
	name, note, full string
	tone, link       string
}

// edge is the line from a parent.
type edge struct{ path string }

// label is what screen readers say: it begins with what is to be seen.
func (b box) label() string {
	if strings.HasSuffix(b.full, " "+b.name) {
		return b.name + ", " + b.note
	}
	return b.name + ", " + b.note + ", " + b.full
}

// picture is the graph as it is drawn.
type picture struct {
	width, height int
	boxes         []box
	edges         []edge
}

// picture draws the pipelines of an application.
func (f Frame) picture(status rest.ApplicationStatus) picture {
	nodes, boxes := []graph.Node{}, map[string]box{}
	for _, one := range status.CI.Pipelines {
		id := "CiPipeline/" + one.Name
		nodes, boxes[id] = append(nodes, graph.Node{ID: id}), f.ciBox(status.Namespace, one)
	}
	for _, one := range status.CD.Pipelines {
		id := "CdPipeline/" + one.Name
		nodes = append(nodes, graph.Node{ID: id, Parent: one.ParentKind + "/" + one.ParentName})
		boxes[id] = f.cdBox(status.Namespace, one)
	}
	layout := graph.Lay(nodes, mostNodes)
	drawn := picture{
		width:  layout.Columns*(boxWidth+columnGap) - columnGap + 2*padding,
		height: layout.Rows*(boxHeight+rowGap) - rowGap + 2*padding,
	}
	placed := map[string]box{}
	for _, place := range layout.Places {
		one := boxes[place.ID]
		if place.Hidden > 0 {
			one = box{name: fmt.Sprintf("%d more", place.Hidden), note: "see the table below", full: "pipelines below " + boxes[place.Parent].name, link: "#pipelines"}
		}
		one.x, one.y = padding+place.Column*(boxWidth+columnGap), padding+int(place.Row*(boxHeight+rowGap))
		drawn.boxes = append(drawn.boxes, one)
		if parent, found := placed[place.Parent]; found && !place.Ring {
			drawn.edges = append(drawn.edges, edge{line(parent, one)})
		}
		if place.Hidden == 0 {
			placed[place.ID] = one
		}
	}
	return drawn
}

// line goes from the right of one box to the left of another.
func line(from, to box) string {
	x1, y1, x2, y2 := from.x+boxWidth, from.y+boxHeight/2, to.x, to.y+boxHeight/2
	middle := (x1 + x2) / 2
	return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, middle, y1, middle, y2, x2, y2)
}

func (f Frame) ciBox(namespace string, one rest.CiPipelineStatus) box {
	made := box{name: shorten(one.Name, nameLetters), full: "CI pipeline " + one.Name, note: "CI · no build yet", tone: "none"}
	made.link = f.With(f.Path("builds", namespace), "pipeline", one.Name)
	if last := one.LastBuild; last != nil {
		made.note, made.tone = "CI · "+orDash(last.Phase), tone(last.Phase)
		made.link = f.Path("builds", namespace, last.Name)
	}
	if one.Suspended {
		made.note += " · suspended"
	}
	return made
}

func (f Frame) cdBox(namespace string, one rest.CdPipelineStatus) box {
	state := cdState(one)
	made := box{
		name: shorten(one.Name, nameLetters), full: "CD pipeline " + one.Name, tone: tone(state), note: state,
		link: f.Path("pipelines", namespace, one.Name),
	}
	if one.Environment != "" {
		made.note = shorten(one.Environment, 14) + " · " + state
	}
	if one.LastRun != nil && one.LastRun.Outcome == "" {
		made.note += " " + one.LastRun.Stage
	}
	return made
}

// cdState is what a pipeline's newest run came to, or what was decided where there is none.
func cdState(one rest.CdPipelineStatus) string {
	switch {
	case one.LastRun != nil && one.LastRun.Outcome != "":
		return one.LastRun.Outcome
	case one.LastRun != nil:
		return orDash(one.LastRun.State)
	case one.Suspended:
		return "Suspended"
	case one.LastDecision != nil:
		return one.LastDecision.Outcome
	}
	return "No run yet"
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

func pixels(n int) string { return strconv.Itoa(n) }
