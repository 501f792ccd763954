package webhook

import (
	"mime"
	"net/url"
	"strings"
)

// github is GitHub and GitHub Enterprise Server:
// https://docs.github.com/en/webhooks/webhook-events-and-payloads.
type github struct{}

// Headers implements Sender.
func (github) Headers() []string {
	return []string{"X-Github-Event", "X-Github-Delivery", "Content-Type"}
}

// Verify implements Sender. The older X-Hub-Signature is SHA-1 and not looked at.
func (github) Verify(request Request, secrets [][]byte) error {
	return verifySum(request, "X-Hub-Signature-256", secrets)
}

// Payload implements Sender: GitHub sends JSON, or a form with JSON in the field payload.
func (github) Payload(request Request) ([]byte, error) {
	if kind, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return request.Body, nil
	}
	form, err := url.ParseQuery(string(request.Body))
	if err != nil {
		return nil, malformed("read form: %w", err)
	}
	if len(form["payload"]) != 1 {
		return nil, malformed("the form has %d fields payload, want 1", len(form["payload"]))
	}
	return []byte(form.Get("payload")), nil
}

type githubBody struct {
	Action     string            `json:"action"`
	Ref        string            `json:"ref"`
	After      string            `json:"after"`
	Deleted    bool              `json:"deleted"`
	HeadCommit *githubCommit     `json:"head_commit"`
	Repository *githubRepository `json:"repository"`
	Package    *githubPackage    `json:"package"`
	Registry   *githubPackage    `json:"registry_package"`
}

type githubCommit struct {
	ID string `json:"id"`
}

type githubRepository struct {
	Clone string `json:"clone_url"`
	SSH   string `json:"ssh_url"`
	HTML  string `json:"html_url"`
	Git   string `json:"git_url"`
}

type githubPackage struct {
	Name      string        `json:"name"`
	Namespace string        `json:"namespace"`
	Type      string        `json:"package_type"`
	Ecosystem string        `json:"ecosystem"`
	Version   githubVersion `json:"package_version"`
}

type githubVersion struct {
	Version   string           `json:"version"`
	URL       string           `json:"package_url"`
	Container *githubContainer `json:"container_metadata"`
}

type githubContainer struct {
	Tag struct {
		Name   string `json:"name"`
		Digest string `json:"digest"`
	} `json:"tag"`
}

// Parse implements Sender.
func (g github) Parse(request Request) (Event, error) {
	name := request.Header.Get("X-Github-Event")
	event := Event{Name: bounded(name), ID: bounded(firstOf(request.Header.Get("X-Github-Delivery"), bodyID(request.Body)))}
	payload, err := g.Payload(request)
	if err != nil {
		return event, err
	}
	switch name {
	case "ping":
		event.Kind = Ping
		return event, nil
	case "push", "package", "registry_package":
	default:
		return event.ignored("no event that is acted upon"), nil
	}
	var body githubBody
	if err := decode(payload, &body); err != nil {
		return event, err
	}
	if name == "push" {
		return event.pushedRef(body.Ref, body.commit(), body.Deleted, body.repositories())
	}
	return body.images(event)
}

// commit is what an annotated tag points to, of which after names only the tag itself.
func (b githubBody) commit() string {
	if b.HeadCommit != nil && !isNothing(b.After) {
		return b.HeadCommit.ID
	}
	return b.After
}

func (b githubBody) repositories() []Repository {
	if b.Repository == nil {
		return nil
	}
	return repositories(true, b.Repository.Clone, b.Repository.SSH, b.Repository.HTML, b.Repository.Git)
}

// images takes the image of a package of the type container. For a multi-arch image GitHub
// sends an event for the index and one for each of its manifests; only the index has a tag.
func (b githubBody) images(event Event) (Event, error) {
	one := b.Package
	if one == nil {
		one = b.Registry
	}
	if one == nil {
		return event, malformed("the event has no package")
	}
	if b.Action != "published" && b.Action != "updated" {
		return event.ignored("package was " + firstOf(b.Action, "changed")), nil
	}
	container := one.Version.Container
	if container == nil && !strings.EqualFold(one.Type, "container") {
		return event.ignored("no container package"), nil
	}
	image, found := ParseImage(strings.TrimSuffix(one.Version.URL, ":"))
	if !found {
		image, found = newImage("", one.Namespace+"/"+one.Name, "", "")
	}
	if !found {
		return event, malformed("the package names no image")
	}
	image.Tag, image.Digest = "", one.Version.Version
	if container != nil {
		image.Tag, image.Digest = container.Tag.Name, firstOf(container.Tag.Digest, one.Version.Version)
	}
	image, _ = newImage(image.Host, image.Repository, image.Tag, image.Digest)
	return event.pushed([]Image{image}), nil
}
