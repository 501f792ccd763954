package registry

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Image is a tag of a repository.
type Image struct {
	// Registry is the host, with the port where it has one. That of docker.io is
	// index.docker.io.
	Registry string
	// Repository is its whole name, such as index.docker.io/library/debian: two images of one
	// repository have the same.
	Repository string
	// Tag is latest where the image names none.
	Tag string
}

// ErrImage means that a text is no image, or one with a digest.
var ErrImage = errors.New("not an image with a tag")

// ParseImage reads an image as Kubernetes does: debian:12 is that of Docker Hub.
func ParseImage(image string) (Image, error) {
	if strings.Contains(image, "@") {
		return Image{}, fmt.Errorf("%w: it has a digest: %s", ErrImage, image)
	}
	tag, err := name.NewTag(image)
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrImage, err)
	}
	if slices.Contains(strings.Split(tag.RepositoryStr(), "/"), "") {
		return Image{}, fmt.Errorf("%w: a part of its name is empty: %s", ErrImage, image)
	}
	host := hostOf(strings.ToLower(tag.RegistryStr()))
	repository, err := name.NewRepository(host + "/" + tag.RepositoryStr())
	if err != nil {
		return Image{}, fmt.Errorf("%w: %w", ErrImage, err)
	}
	return Image{Registry: host, Repository: repository.Name(), Tag: tag.TagStr()}, nil
}

// path is the repository without its registry.
func (i Image) path() string { return strings.TrimPrefix(i.Repository, i.Registry+"/") }

// Spellings are all that the repository is written as, in lower case.
func (i Image) Spellings() []string {
	if i.Registry != name.DefaultRegistry {
		return []string{i.Repository}
	}
	paths := []string{i.path()}
	if short, isLibrary := strings.CutPrefix(i.path(), "library/"); isLibrary {
		paths = append(paths, short)
	}
	var spellings []string
	for _, path := range paths {
		spellings = append(spellings, path)
		for _, host := range append([]string{name.DefaultRegistry}, aliases...) {
			spellings = append(spellings, host+"/"+path)
		}
	}
	return spellings
}

// aliases are the other names of Docker Hub.
var aliases = []string{"docker.io", "registry-1.docker.io", "registry.hub.docker.com"}

// hostOf returns the one name of a registry that has several.
func hostOf(registry string) string {
	if slices.Contains(aliases, registry) {
		return name.DefaultRegistry
	}
	return registry
}

// digestPattern is what a digest looks like: sha256, sha384 or sha512 in lower-case hexadecimal.
var digestPattern = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$`)
