package sender

import "fmt"

// Delivery is what is sent.
type Delivery struct {
	// ID names it, for the sender.
	ID string
	// Event is what GitHub calls it.
	Event string
	Body  string
}

// commit is what every push pushes.
const commit = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"

// Push is GitHub's of a commit to a branch of a repository, such as team/shop.
func Push(id, repository, branch string) Delivery {
	return Delivery{ID: id, Event: "push", Body: fmt.Sprintf(
		`{"ref":"refs/heads/%s","after":%q,"repository":{"clone_url":"https://github.com/%s.git"},"n":%q}`, branch, commit, repository, id)}
}

// Report is one of a CI system: how a build of a pipeline stands. Its Receiver has the mapping
// that is given by Mapping.
func Report(id, pipeline, build, phase string) Delivery {
	return Delivery{ID: id, Body: fmt.Sprintf(
		`{"pipeline":%q,"build":%q,"phase":%q,"image":"registry.example.com/%s:1","digest":"sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427","n":%q}`,
		pipeline, build, phase, pipeline, id)}
}

// Image is a registry's, of an image that was pushed to it.
func Image(id, host, repository, tag string) Delivery {
	return Delivery{ID: id, Body: fmt.Sprintf(
		`{"events":[{"id":%q,"action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":%q,"tag":%q},"request":{"host":%q}}]}`,
		id, repository, tag, host)}
}
