package webhook

import "strings"

// distribution is the registry of CNCF Distribution:
// https://distribution.github.io/distribution/about/notifications/.
type distribution struct{}

// Headers implements Sender: all that counts is in the body.
func (distribution) Headers() []string { return nil }

// Verify implements Sender: the registry's configuration names the headers that it sends.
func (distribution) Verify(request Request, secrets [][]byte) error {
	return verifyToken(request, bearer(request.Header), secrets)
}

// Payload implements Sender.
func (distribution) Payload(request Request) ([]byte, error) { return request.Body, nil }

type distributionBody struct {
	Events []distributionEvent `json:"events"`
}

type distributionEvent struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	Target struct {
		MediaType  string `json:"mediaType"`
		Digest     string `json:"digest"`
		Repository string `json:"repository"`
		Tag        string `json:"tag"`
	} `json:"target"`
	Request struct {
		Host string `json:"host"`
	} `json:"request"`
}

// Parse implements Sender. A registry sends what happened since it sent last as one list.
func (distribution) Parse(request Request) (Event, error) {
	event := Event{ID: bodyID(request.Body)}
	var body distributionBody
	if err := decode(request.Body, &body); err != nil {
		return event, err
	}
	if len(body.Events) == 0 {
		return event.ignored("no event in it"), nil
	}
	if len(body.Events) == 1 {
		event.ID = bounded(firstOf(body.Events[0].ID, event.ID))
	}
	event.Name = bounded(body.Events[0].Action)
	var images []Image
	for _, one := range body.Events {
		if image, found := one.image(); found {
			event.Name = "push"
			images = append(images, image)
		}
	}
	if len(images) == 0 {
		return event.ignored("no push of an image"), nil
	}
	return event.pushed(images), nil
}

// image leaves out layers, which are pushed as well.
func (e distributionEvent) image() (Image, bool) {
	if e.Action != "push" || !isManifest(e.Target.MediaType) {
		return Image{}, false
	}
	return newImage(e.Request.Host, e.Target.Repository, e.Target.Tag, e.Target.Digest)
}

// isManifest tells whether a media type is that of an image or of an index of images.
func isManifest(mediaType string) bool {
	return strings.Contains(mediaType, ".manifest.") || strings.Contains(mediaType, ".image.index.")
}
