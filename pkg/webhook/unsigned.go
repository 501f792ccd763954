package webhook

import "strings"

// unsigned are senders that can't sign, such as Docker Hub and Quay. Whoever knows the path can
// send, so that nothing of theirs is believed but that a registry is worth a look.
type unsigned struct{}

// Headers implements Sender: all that counts is in the body.
func (unsigned) Headers() []string { return nil }

// Verify implements Sender: there is nothing to verify.
func (unsigned) Verify(request Request, _ [][]byte) error {
	spend(request.Body)
	return nil
}

// Payload implements Sender.
func (unsigned) Payload(request Request) ([]byte, error) { return request.Body, nil }

// unsignedBody is that of both: repository is an object of Docker Hub's, and a text of Quay's.
type unsignedBody struct {
	PushData *struct {
		Tag string `json:"tag"`
	} `json:"push_data"`
	URL  string   `json:"docker_url"`
	Tags []string `json:"updated_tags"`
}

type dockerHubBody struct {
	Repository struct {
		Name string `json:"repo_name"`
	} `json:"repository"`
}

// Parse implements Sender.
func (unsigned) Parse(request Request) (Event, error) {
	event := Event{ID: bodyID(request.Body)}
	var body unsignedBody
	if err := decode(request.Body, &body); err != nil {
		return event, err
	}
	if body.PushData != nil {
		event.Name = "push"
		return parseDockerHub(event, request.Body, body.PushData.Tag)
	}
	if body.URL == "" {
		return event.ignored("neither Docker Hub nor Quay sends this"), nil
	}
	event.Name = "repo_push"
	return event.pushed(body.quayImages()), nil
}

func parseDockerHub(event Event, payload []byte, tag string) (Event, error) {
	var body dockerHubBody
	if err := decode(payload, &body); err != nil {
		return event, err
	}
	image, found := newImage("docker.io", body.Repository.Name, tag, "")
	if !found {
		return event, malformed("the push names no repository")
	}
	return event.pushed([]Image{image}), nil
}

// maxTags bounds what one push of Quay's may bring forward.
const maxTags = 100

func (b unsignedBody) quayImages() []Image {
	tags := b.Tags
	if len(tags) == 0 || len(tags) > maxTags {
		tags = []string{""} // any of them
	}
	var all []Image
	host, repository, _ := strings.Cut(b.URL, "/")
	for _, tag := range tags {
		if image, found := newImage(host, repository, tag, ""); found {
			all = append(all, image)
		}
	}
	return all
}
