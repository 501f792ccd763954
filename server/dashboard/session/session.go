// Package session keeps who is signed in to the dashboard in encrypted cookies, and proves
// that a form was sent by a page of the dashboard. It keeps nothing in memory.
package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// ErrTooLong means that a token does not fit into the cookies of a session.
var ErrTooLong = errors.New("the token is longer than a session can hold")

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

// keys are derived from one text.
type keys struct {
	from  []byte
	aead  cipher.AEAD // of sessions
	forms []byte      // signs forms
}

// New returns a keeper that keeps nothing in memory but its keys.
func New(config Config) *Keeper { return &Keeper{config: config} }

// current derives the keys again where what they come from has changed.
func (k *Keeper) current() (*keys, error) {
	from := k.config.Key()
	if known := k.keys.Load(); known != nil && bytes.Equal(known.from, from) {
		return known, nil
	}
	if len(from) == 0 {
		return nil, errors.New("there is no key for sessions yet")
	}
	sealing, err := hkdf.Key(sha256.New, from, nil, "penstock dashboard session", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key of sessions: %w", err)
	}
	forms, err := hkdf.Key(sha256.New, from, nil, "penstock dashboard form", 32)
	if err != nil {
		return nil, fmt.Errorf("derive key of forms: %w", err)
	}
	block, err := aes.NewCipher(sealing)
	if err != nil {
		return nil, fmt.Errorf("use key of sessions: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("use key of sessions: %w", err)
	}
	fresh := &keys{from: from, aead: aead, forms: forms}
	k.keys.Store(fresh)
	return fresh, nil
}

// sealed is what the cookies of a session hold.
type sealed struct {
	Token string    `json:"t"`
	Ends  time.Time `json:"e"`
}

// Begin signs somebody in with a token.
func (k *Keeper) Begin(w http.ResponseWriter, r *http.Request, token string) error {
	text, err := json.Marshal(sealed{Token: token, Ends: k.config.Clock.Now().Add(k.config.Lifetime)})
	if err != nil {
		return fmt.Errorf("encode session: %w", err)
	}
	keys, err := k.current()
	if err != nil {
		return err
	}
	nonce := make([]byte, keys.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	value := base64.RawURLEncoding.EncodeToString(keys.aead.Seal(nonce, nonce, text, []byte(name)))
	if len(value) > maxChunk*maxChunks {
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
func (k *Keeper) Token(r *http.Request) string {
	opened, err := k.open(chunks(r))
	if err != nil || !k.config.Clock.Now().Before(opened.Ends) {
		return ""
	}
	return opened.Token
}

// Has tells whether the browser sends a session, valid or not.
func (k *Keeper) Has(r *http.Request) bool { return chunks(r) != "" }

func (k *Keeper) open(value string) (sealed, error) {
	var opened sealed
	keys, err := k.current()
	if err != nil {
		return opened, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) < keys.aead.NonceSize() {
		return opened, errors.New("no session")
	}
	nonce, text := raw[:keys.aead.NonceSize()], raw[keys.aead.NonceSize():]
	plain, err := keys.aead.Open(nil, nonce, text, []byte(name))
	if err != nil {
		return opened, fmt.Errorf("open session: %w", err)
	}
	err = json.Unmarshal(plain, &opened)
	return opened, err
}

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
