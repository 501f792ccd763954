// Package webhook verifies what other systems send when something happened there, and says
// what happened in words that are the same for every sender. It reads bytes and writes nothing.
package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// MaxBody is how many bytes a body may have. Whoever reads it from the network checks that.
const MaxBody = 3 << 20

// MaxSecrets is how many secrets are valid at once: the current one and, while it is being
// replaced, the one before.
const MaxSecrets = 2

var (
	// ErrUnverified means that no secret fits. It does not say why: the reason would help
	// those who guess.
	ErrUnverified = errors.New("not verified")
	// ErrMalformed means that a body is not what its sender sends. To try again is no use.
	ErrMalformed = errors.New("malformed")
)

// Request is what a sender sent.
type Request struct {
	Header http.Header
	// Body is as it came: signatures are over these bytes.
	Body []byte
	// At is when it came. Signatures with a time of their own are judged by it.
	At time.Time
}

// Sender knows how one type of sender signs and what its bodies mean. It keeps no state and is
// safe for concurrent use.
type Sender interface {
	// Verify returns ErrUnverified unless one of the secrets fits, each of which is tried. It
	// compares in constant time and does not look into the body. An empty secret never fits.
	Verify(request Request, secrets [][]byte) error
	// Payload returns the JSON that the body holds, without checking it.
	Payload(request Request) ([]byte, error)
	// Parse tells what happened. Where it fails, which it does with ErrMalformed, the event
	// has its ID, Name and Order as far as they are known all the same.
	Parse(request Request) (Event, error)
	// Headers are the names of the headers that Parse and Payload read: what has to be kept
	// with a body so that it can be parsed again. None of them holds a secret.
	Headers() []string
}

// senders are those that Receivers can name. Another one is a file with a Sender, a type in the
// API, and a line here.
var senders = map[v1alpha1.ReceiverType]Sender{
	v1alpha1.ReceiverGitHub:       github{},
	v1alpha1.ReceiverGitLab:       gitlab{},
	v1alpha1.ReceiverHarbor:       harbor{},
	v1alpha1.ReceiverDistribution: distribution{},
	v1alpha1.ReceiverCDEvents:     cdevents{},
	v1alpha1.ReceiverGeneric:      generic{},
	v1alpha1.ReceiverUnsigned:     unsigned{},
}

// SenderOf returns the sender of a type, or false where there is none.
func SenderOf(of v1alpha1.ReceiverType) (Sender, bool) {
	sender, found := senders[of]
	return sender, found
}

// Refuse costs as much as the verification of a wrong signature, and fails like one. It stands
// in where there is nothing to verify with, so that the time does not tell.
func Refuse(request Request) error {
	spend(request.Body)
	return ErrUnverified
}

// Keep returns the headers that the sender's Parse reads.
func Keep(sender Sender, header http.Header) http.Header {
	kept := http.Header{}
	for _, name := range sender.Headers() {
		if value := header.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	return kept
}

func malformed(format string, arguments ...any) error {
	return fmt.Errorf("%w: %w", ErrMalformed, fmt.Errorf(format, arguments...))
}
