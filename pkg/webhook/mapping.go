package webhook

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// mappingField is an expression of a mapping, and how many bytes it may yield: what the field
// of a CiBuild takes.
type mappingField struct {
	name, text string
	most       int
}

func mappingFields(mapping *v1alpha1.ReceiverMapping) []mappingField {
	if mapping == nil {
		return nil
	}
	return []mappingField{
		{"pipeline", mapping.Pipeline, 253}, {"build", mapping.Build, 253}, {"revision", mapping.Revision, 253}, {"ref", mapping.Ref, 253},
		{"phase", mapping.Phase, 63}, {"image", mapping.Image, 512}, {"digest", mapping.Digest, 255},
	}
}

// mapped adds what the mapping yields. It goes before what the sender's own words mean.
func (e *Expressions) mapped(event Event, variables map[string]any, mapping *v1alpha1.ReceiverMapping) (Event, error) {
	values := map[string]string{}
	for _, field := range mappingFields(mapping) {
		value, err := e.text(field, variables)
		if err != nil {
			return event, err
		}
		values[field.name] = value
	}
	image, digest, _ := strings.Cut(values["image"], "@")
	values["image"], values["digest"] = image, firstOf(values["digest"], digest)
	report := event.Report
	report.Pipeline = firstOf(values["pipeline"], report.Pipeline)
	report.Build = firstOf(values["build"], report.Build)
	if report.Pipeline == "" && report.Build == "" {
		return event.mappedImage(values), nil
	}
	report.Revision = firstOf(values["revision"], report.Revision)
	report.Ref = firstOf(values["ref"], report.Ref)
	if image != "" && values["digest"] != "" {
		report.Artifacts = []v1alpha1.Artifact{{Image: image, Digest: values["digest"]}}
	}
	phase, err := mappedPhase(report, values["phase"])
	if err != nil {
		return event, err
	}
	report.Phase = phase
	event.Kind, event.Report = BuildReported, report
	return event, nil
}

// mappedPhase is Succeeded where nothing says otherwise and there is an artifact.
func mappedPhase(report Report, word string) (v1alpha1.BuildPhase, error) {
	phase, known := phaseOf(word)
	switch {
	case !known:
		return "", fmt.Errorf("spec.mapping.phase: yields %s, want pending, running, succeeded, failed, error or cancelled", strconv.Quote(word))
	case phase != "":
		return phase, nil
	case report.Phase == "" && len(report.Artifacts) > 0:
		return v1alpha1.BuildSucceeded, nil
	default:
		return report.Phase, nil
	}
}

// mappedImage makes the event a push of the mapping's image, where it names neither a pipeline
// nor a build.
func (e Event) mappedImage(values map[string]string) Event {
	image, found := ParseImage(values["image"])
	switch {
	case values["image"] == "":
		return e.unlessUnmapped()
	case !found:
		return e.ignored("the mapping yields no image, but " + strconv.Quote(values["image"]))
	}
	image, _ = newImage(image.Host, image.Repository, image.Tag, values["digest"])
	order := e.Order
	e.Images = nil
	e = e.pushed([]Image{image})
	e.Order = order // as the delivery was stored
	return e
}
