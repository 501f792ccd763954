package webhook

import "strings"

// harbor is Harbor, with payloads of its own form and of that of CloudEvents:
// https://goharbor.io/docs/main/working-with-projects/project-configuration/configure-webhooks/.
type harbor struct{}

// Headers implements Sender: all that counts is in the body.
func (harbor) Headers() []string { return nil }

// Verify implements Sender: Harbor sends its field Auth Header as Authorization.
func (harbor) Verify(request Request, secrets [][]byte) error {
	return verifyToken(request, bearer(request.Header), secrets)
}

// Payload implements Sender.
func (harbor) Payload(request Request) ([]byte, error) { return request.Body, nil }

type harborBody struct {
	Type string     `json:"type"`
	ID   string     `json:"id"` // of CloudEvents
	Data harborData `json:"event_data"`
	// Cloud is the same in CloudEvents.
	Cloud harborData `json:"data"`
}

type harborData struct {
	Resources []struct {
		Digest string `json:"digest"`
		Tag    string `json:"tag"`
		URL    string `json:"resource_url"`
	} `json:"resources"`
	Repository struct {
		Name string `json:"repo_full_name"`
	} `json:"repository"`
}

// Parse implements Sender. Harbor gives its own deliveries no id.
func (harbor) Parse(request Request) (Event, error) {
	event := Event{ID: bodyID(request.Body)}
	var body harborBody
	if err := decode(request.Body, &body); err != nil {
		return event, err
	}
	event.Name = bounded(body.Type)
	event.ID = bounded(firstOf(body.ID, event.ID))
	switch body.Type {
	case "PUSH_ARTIFACT":
		return event.pushed(body.Data.images()), nil
	case "harbor.artifact.pushed":
		return event.pushed(body.Cloud.images()), nil
	default:
		return event.ignored("no event that is acted upon"), nil
	}
}

// images takes the host from the resource's URL, which has no scheme.
func (d harborData) images() []Image {
	var all []Image
	for _, resource := range d.Resources {
		host, _, _ := strings.Cut(resource.URL, "/")
		if image, found := newImage(host, d.Repository.Name, resource.Tag, resource.Digest); found {
			all = append(all, image)
		}
	}
	return all
}
