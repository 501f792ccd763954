package webhook

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Kind is what happened.
type Kind string

// The kinds of events.
const (
	// Pushed means that a branch or tag of a git repository points to another commit.
	Pushed Kind = "Pushed"
	// ImagePushed means that a registry has images that it did not have.
	ImagePushed Kind = "ImagePushed"
	// BuildReported means that a CI system started or finished a build.
	BuildReported Kind = "BuildReported"
	// Unmapped means that only the Receiver's mapping tells what happened.
	Unmapped Kind = "Unmapped"
	// Ping means that a sender tries whether it is heard.
	Ping Kind = "Ping"
	// Ignored means that nothing is to be done; Why gives the reason.
	Ignored Kind = "Ignored"
)

// Event is what happened, whoever sent it.
type Event struct {
	Kind Kind
	// ID is the sender's own for this delivery, or made of the body. A delivery that is sent
	// again has the same. At most maxKey bytes.
	ID string
	// Name of the event as the sender spells it, at most maxKey bytes.
	Name string
	// Order is what deliveries are worked off in order by: a repository, where the sender
	// names one. At most maxKey bytes.
	Order string
	// Why tells why there is nothing to do.
	Why string

	Push   Push
	Images []Image
	Report Report
}

// Push is a branch or tag that points to another commit.
type Push struct {
	// Repositories are the forms of the repository's URL that the sender gives.
	Repositories []Repository
	// Ref is the short name of the branch or tag.
	Ref   string
	IsTag bool
	// Commit that it points to.
	Commit string
}

// Report is what a CI system says of a build. What it does not say is empty.
type Report struct {
	// Pipeline and Build are names of a CiPipeline and a CiBuild.
	Pipeline, Build string
	// Repositories are the forms of the source's URL.
	Repositories  []Repository
	Revision, Ref string
	Phase         v1alpha1.BuildPhase
	Artifacts     []v1alpha1.Artifact
}

// maxKey bounds what Postgres keeps in indexes.
const maxKey = 253

// bounded returns the text, or a hash of it where it is too long for a key.
func bounded(text string) string {
	if len(text) <= maxKey {
		return text
	}
	return bodyID([]byte(text))
}

// bodyID is the ID of a delivery whose sender gives none.
func bodyID(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// ignored makes the event one that nothing is done about.
func (e Event) ignored(why string) Event {
	e.Kind, e.Why = Ignored, why
	return e
}

func (e Event) ordered(by string) Event {
	e.Order = bounded(by)
	return e
}
