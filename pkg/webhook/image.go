package webhook

import (
	"regexp"
	"slices"
	"strings"
)

// Image is an image in a registry.
type Image struct {
	// Host of the registry with its port, in lower case; docker.io for Docker Hub. Empty
	// where the sender does not say.
	Host string
	// Repository is the path below the host, such as library/alpine.
	Repository string
	// Tag is empty where an image was pushed without.
	Tag string
	// Digest is empty where the sender does not say.
	Digest string
}

// Name is the repository, with the host where it is known.
func (i Image) Name() string {
	if i.Host == "" {
		return i.Repository
	}
	return i.Host + "/" + i.Repository
}

// String is the name with the tag and the digest.
func (i Image) String() string {
	text := i.Name()
	if i.Tag != "" {
		text += ":" + i.Tag
	}
	if i.Digest != "" {
		text += "@" + i.Digest
	}
	return text
}

var (
	digestPattern     = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
	tagPattern        = regexp.MustCompile(`^[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127}$`)
	repositoryPattern = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	hostPattern       = regexp.MustCompile(`^(?:[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?$`)
)

// maxRepository is the most that registries take.
const maxRepository = 255

// dockerHub are the names of its hosts.
var dockerHub = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

// newImage returns the image, or false where the repository is none that a registry can have.
// A digest that stands where a tag should be, as Harbor puts it, is the digest; what is no tag
// and no digest is left out.
func newImage(host, repository, tag, digest string) (Image, bool) {
	image := Image{Host: imageHost(host), Repository: strings.ToLower(strings.Trim(repository, "/")), Tag: tag, Digest: digest}
	if digestPattern.MatchString(image.Tag) {
		image.Digest, image.Tag = firstOf(image.Digest, image.Tag), ""
	}
	if !tagPattern.MatchString(image.Tag) {
		image.Tag = ""
	}
	if !digestPattern.MatchString(image.Digest) {
		image.Digest = ""
	}
	if image.Host == "docker.io" && !strings.Contains(image.Repository, "/") {
		image.Repository = "library/" + image.Repository
	}
	return image, len(image.Repository) <= maxRepository && repositoryPattern.MatchString(image.Repository)
}

// imageHost returns a host in its usual form, or nothing where it is none.
func imageHost(host string) string {
	host = strings.ToLower(host)
	if slices.Contains(dockerHub, host) {
		return "docker.io"
	}
	if len(host) > maxKey || !hostPattern.MatchString(host) {
		return ""
	}
	return host
}

// ParseImage returns the image of a reference such as registry.example.com/shop/web:1. As
// Docker has it, a name without a host is one of Docker Hub.
func ParseImage(reference string) (Image, bool) {
	reference, digest, _ := strings.Cut(reference, "@")
	tag := ""
	if colon := strings.LastIndexByte(reference, ':'); colon > strings.LastIndexByte(reference, '/') {
		reference, tag = reference[:colon], reference[colon+1:]
	}
	host, repository, found := strings.Cut(reference, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		host, repository = "docker.io", reference
	}
	if imageHost(host) == "" {
		return Image{}, false
	}
	return newImage(host, repository, tag, digest)
}

// pushed makes the event one of images, each once.
func (e Event) pushed(images []Image) Event {
	if len(images) == 0 {
		return e.ignored("no image in it")
	}
	e.Kind = ImagePushed
	for _, image := range images {
		if !slices.Contains(e.Images, image) {
			e.Images = append(e.Images, image)
		}
	}
	return e.ordered(images[0].Name())
}
