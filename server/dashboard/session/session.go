// Package session keeps who is signed in to the dashboard in encrypted cookies, and proves
// that a form was sent by a page of the dashboard. It keeps nothing in memory.
package session

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

const (
	// name begins the name of each cookie of a session. Browsers take cookies with this
	// prefix over an encrypted connection alone.
	name = "__Secure-penstock-"
	// maxChunk is how much of a session one cookie holds: browsers refuse more than 4096
	// bytes, names and attributes included.
	maxChunk = 3600
	// maxChunks bounds a session: tokens of identity providers take up to 16 KiB.
	maxChunks = 8
)

// ErrTooLong means that a token, or the groups of a person, do not fit into the cookies of a
// session.
var ErrTooLong = errors.New("the session is longer than cookies can hold")

// Config says how sessions are kept. Every field is required.
type Config struct {
	// Key returns what keys are derived from, and must not block. Replicas that have the same
	// know each other's sessions; another one ends all sessions.
	Key func() []byte
	// Path is where the dashboard is served, such as / or /penstock.
	Path string
	// Lifetime is the longest time that a session counts.
	Lifetime time.Duration
	// Clock tells the time.
	Clock clock.PassiveClock
}

// Keeper writes and reads the cookies. It is safe for concurrent use.
type Keeper struct {
	config Config
	keys   atomic.Pointer[keys]
}

// New returns a keeper that keeps nothing in memory but its keys.
func New(config Config) *Keeper { return &Keeper{config: config} }

// sealed is what the cookies of a session hold: a token, or a person.
type sealed struct {
	Token  string    `json:"t,omitempty"`
	Person *Person   `json:"p,omitempty"`
	Ends   time.Time `json:"e"`
}

// Begin signs somebody in with a token.
func (k *Keeper) Begin(w http.ResponseWriter, r *http.Request, token string) error {
	return k.begin(w, r, sealed{Token: token, Ends: k.config.Clock.Now().Add(k.config.Lifetime)}, maxChunks)
}

// begin writes a session to at most so many cookies.
func (k *Keeper) begin(w http.ResponseWriter, r *http.Request, of sealed, most int) error {
	value, err := k.seal(purposeSession, of)
	if err != nil {
		return err
	}
	if len(value) > maxChunk*most {
		return ErrTooLong
	}
	k.End(w, r)
	for i := 0; len(value) > 0; i++ {
		part := value[:min(len(value), maxChunk)]
		value = value[len(part):]
		http.SetCookie(w, k.cookie(strconv.Itoa(i), part))
	}
	return nil
}

// Token is the one that somebody has signed in with. It is empty where nobody has, or the
// session is over.
func (k *Keeper) Token(r *http.Request) string { return k.open(r).Token }

// open is empty where there is no session, or it is over.
func (k *Keeper) open(r *http.Request) (opened sealed) {
	if err := k.unseal(purposeSession, chunks(r), &opened); err != nil || !k.config.Clock.Now().Before(opened.Ends) {
		return sealed{}
	}
	return opened
}

// Has tells whether the browser sends a session, valid or not.
func (k *Keeper) Has(r *http.Request) bool { return chunks(r) != "" }

// End signs out: it removes every cookie of a session that the browser sends.
func (k *Keeper) End(w http.ResponseWriter, r *http.Request) {
	for i := range maxChunks {
		if _, err := r.Cookie(name + strconv.Itoa(i)); err == nil {
			http.SetCookie(w, k.cookie(strconv.Itoa(i), ""))
		}
	}
}

// chunks joins the cookies of a session.
func chunks(r *http.Request) string {
	var value strings.Builder
	for i := range maxChunks {
		part, err := r.Cookie(name + strconv.Itoa(i))
		if err != nil {
			break
		}
		value.WriteString(part.Value)
	}
	return value.String()
}

// cookie ends with the browser. Without a value it removes the one that the browser has. It is
// Lax and not Strict, so that a link in a chat or a mail opens its page: other sites can have a
// page opened, which changes nothing, and forms have a token.
func (k *Keeper) cookie(suffix, value string) *http.Cookie {
	age := 0
	if value == "" {
		age = -1
	}
	return &http.Cookie{
		Name: name + suffix, Value: value, Path: k.config.Path, MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
