package session

import (
	"net/http"
	"time"
)

const (
	// MaxPersonLifetime is the longest session of a person. Nobody asks the provider again
	// meanwhile, so that who loses a group there has it here until the session ends.
	MaxPersonLifetime = 12 * time.Hour
	// maxPersonChunks is how many cookies hold a person. Proxies take 8 KiB of cookies by
	// default.
	maxPersonChunks = 2
)

// Person is somebody whom an identity provider knows.
type Person struct {
	Name   string   `json:"n"`
	Groups []string `json:"g,omitempty"`
	// Of tells apart the settings of providers. A session counts for those that it began with.
	Of string `json:"o"`
}

// BeginAs signs a person in. ErrTooLong means that they have too many groups.
func (k *Keeper) BeginAs(w http.ResponseWriter, r *http.Request, person Person) error {
	lifetime := min(k.config.Lifetime, MaxPersonLifetime)
	return k.begin(w, r, sealed{Person: &person, Ends: k.config.Clock.Now().Add(lifetime)}, maxPersonChunks)
}

// Person is who has signed in with these settings, and tells when their session is over. It is
// nil where nobody has, or the session is over already.
func (k *Keeper) Person(r *http.Request, of string) (person *Person, over func() bool) {
	opened := k.open(r)
	if opened.Person == nil || opened.Person.Of != of {
		return nil, nil
	}
	return opened.Person, func() bool { return !k.config.Clock.Now().Before(opened.Ends) }
}
