package webhook

import (
	"encoding/json"
	"mime"
	"net/url"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// cdevents is CDEvents (https://cdevents.dev/docs/), which come as CloudEvents, binary or
// structured; with a mapping, any other CloudEvents as well.
type cdevents struct{}

// Headers implements Sender.
func (cdevents) Headers() []string {
	return []string{"Content-Type", "Ce-Id", "Ce-Source", "Ce-Type", "Ce-Specversion"}
}

// Verify implements Sender. The signature does not cover headers, so that those of the binary
// form count only where the body does not say the same.
func (cdevents) Verify(request Request, secrets [][]byte) error {
	return verifySum(request, signatureHeader, secrets)
}

// envelope is the structured form of CloudEvents 1.0.
type envelope struct {
	ID     string          `json:"id"`
	Source string          `json:"source"`
	Type   string          `json:"type"`
	Data   json.RawMessage `json:"data"`
	Base64 string          `json:"data_base64"`
}

// open returns the envelope in either form.
func open(request Request) (envelope, error) {
	header := request.Header
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	switch {
	case kind == "application/cloudevents+json":
		var opened envelope
		if err := decode(request.Body, &opened); err != nil {
			return envelope{}, err
		}
		if opened.Base64 != "" || len(opened.Data) == 0 {
			return opened, malformed("the CloudEvent has no data in JSON")
		}
		return opened, nil
	case strings.HasPrefix(kind, "application/cloudevents"):
		return envelope{}, malformed("CloudEvents as %s are not read, only one at a time in JSON", kind)
	case header.Get("Ce-Specversion") == "":
		return envelope{}, malformed("neither a binary nor a structured CloudEvent")
	}
	return envelope{ID: header.Get("Ce-Id"), Source: header.Get("Ce-Source"), Type: header.Get("Ce-Type"), Data: request.Body}, nil
}

// Payload implements Sender: the data, in either form.
func (cdevents) Payload(request Request) ([]byte, error) {
	opened, err := open(request)
	return opened.Data, err
}

type cdeventsBody struct {
	Context struct {
		ID     string `json:"id"`
		Source string `json:"source"`
		Type   string `json:"type"`
	} `json:"context"`
	Subject struct {
		ID      string `json:"id"`
		Content struct {
			Artifact string `json:"artifactId"`
			Outcome  string `json:"outcome"`
			Pipeline string `json:"pipelineName"`
		} `json:"content"`
	} `json:"subject"`
}

// Parse implements Sender.
func (cdevents) Parse(request Request) (Event, error) {
	event := Event{ID: bodyID(request.Body)}
	opened, err := open(request)
	if err != nil {
		return event, err
	}
	event = event.named(opened.Source, opened.ID, opened.Type)
	var body cdeventsBody
	if err := decode(opened.Data, &body); err != nil {
		return event, err
	}
	if body.Context.Type != "" {
		event = event.named(body.Context.Source, body.Context.ID, body.Context.Type)
	}
	return body.meaning(event), nil
}

// named identifies a CloudEvent by its source and id, as the specification has it.
func (e Event) named(source, id, name string) Event {
	e.Name = bounded(name)
	if id != "" {
		e.ID = bounded(strings.TrimSpace(source + " " + id))
	}
	return e
}

// meaning is what CDEvents themselves define; a mapping can say more.
func (b cdeventsBody) meaning(event Event) Event {
	subject, found := strings.CutPrefix(event.Name, "dev.cdevents.")
	if !found {
		event.Kind = Unmapped
		return event.ordered(event.Name)
	}
	what, rest, _ := strings.Cut(subject, ".")
	predicate, _, _ := strings.Cut(rest, ".")
	switch what + "." + predicate {
	case "artifact.published":
		if image, found := purlImage(b.Subject.ID); found {
			return event.pushed([]Image{image})
		}
		return event.ignored("the artifact is no image")
	case "build.queued", "pipelinerun.queued":
		return b.report(event, v1alpha1.BuildPending)
	case "build.started", "pipelinerun.started":
		return b.report(event, v1alpha1.BuildRunning)
	case "build.finished", "pipelinerun.finished":
		return b.report(event, b.outcome())
	}
	event.Kind = Unmapped
	return event.ordered(b.Subject.ID)
}

// outcome is what the event says. A build that has an artifact has succeeded: older versions of
// the specification give builds no outcome. One that says neither, or a word that nobody
// knows, is not taken for a success.
func (b cdeventsBody) outcome() v1alpha1.BuildPhase {
	phase, known := phaseOf(b.Subject.Content.Outcome)
	switch {
	case known && phase != "":
		return phase
	case known && b.Subject.Content.Artifact != "":
		return v1alpha1.BuildSucceeded
	default:
		return v1alpha1.BuildError
	}
}

// report is about the CiBuild of the subject's name.
func (b cdeventsBody) report(event Event, phase v1alpha1.BuildPhase) Event {
	event.Kind = BuildReported
	event.Report = Report{Build: b.Subject.ID, Pipeline: b.Subject.Content.Pipeline, Phase: phase}
	if image, found := purlImage(b.Subject.Content.Artifact); found && image.Digest != "" {
		event.Report.Artifacts = []v1alpha1.Artifact{image.artifact()}
	}
	return event.ordered(b.Subject.ID)
}

// purlImage returns the image of a package URL such as
// pkg:oci/web@sha256%3A…?repository_url=registry.example.com/shop/web&tag=1
// (https://github.com/package-url/purl-spec, type oci).
func purlImage(purl string) (Image, bool) {
	rest, found := strings.CutPrefix(purl, "pkg:oci/")
	if !found {
		return Image{}, false
	}
	rest, query, _ := strings.Cut(rest, "?")
	name, digest, _ := strings.Cut(rest, "@")
	values, err := url.ParseQuery(query)
	if err != nil {
		return Image{}, false
	}
	if digest, err = url.PathUnescape(digest); err != nil {
		return Image{}, false
	}
	if at := values.Get("repository_url"); at != "" {
		image, found := ParseImage(at)
		image.Tag, image.Digest = values.Get("tag"), digest
		if !found {
			return Image{}, false
		}
		return newImage(image.Host, image.Repository, image.Tag, image.Digest)
	}
	return newImage("", name, values.Get("tag"), digest)
}

// artifact is the image as a CiBuild has it.
func (i Image) artifact() v1alpha1.Artifact {
	name := i.Name()
	if i.Tag != "" {
		name += ":" + i.Tag
	}
	return v1alpha1.Artifact{Image: name, Digest: i.Digest}
}
