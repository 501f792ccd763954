// Package issuer is an OpenID Connect provider in process, for tests of what a real one never
// does: it answers as told, right or wrong. Tests of what a real one does use dex.
package issuer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The client that the issuer knows.
const (
	ClientID     = "penstock"
	ClientSecret = "hunter2-of-the-client"
)

// Token is an ID token before it is signed.
type Token struct {
	Claims map[string]any
	Key    *rsa.PrivateKey
	KeyID  string
}

// Issuer is the provider. Its methods may be called at any time.
type Issuer struct {
	URL    string
	CAFile string

	t      testing.TB
	mu     sync.Mutex
	key    *rsa.PrivateKey
	keyID  string
	claims map[string]any
	forge  func(*Token)
	away   bool
	codes  map[string]url.Values // what was asked for, by code
	asked  map[string]int        // how often, by path
	extra  map[string]any        // of the document
}

// New starts an issuer that ends with the test. Everybody who comes is signed in with these
// claims.
func New(t testing.TB, claims map[string]any) *Issuer {
	t.Helper()
	i := &Issuer{t: t, claims: claims, codes: map[string]url.Values{}, asked: map[string]int{}, extra: map[string]any{}}
	i.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", i.document)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.token)
	mux.HandleFunc("GET /keys", i.keys)
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("signed out at the provider")) })
	server := httptest.NewTLSServer(i.guard(mux))
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.CAFile = filepath.Join(t.TempDir(), "issuer.pem")
	require.NoError(t, os.WriteFile(i.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return i
}

// Says has the issuer put other claims into its tokens.
func (i *Issuer) Says(claims map[string]any) { i.set(func() { i.claims = claims }) }

// Forges has the issuer change each token before it signs it.
func (i *Issuer) Forges(forge func(*Token)) { i.set(func() { i.forge = forge }) }

// Publishes adds to the document of the issuer.
func (i *Issuer) Publishes(name string, value any) { i.set(func() { i.extra[name] = value }) }

// Leaves has the issuer answer 503 to all, or answer again.
func (i *Issuer) Leaves(away bool) { i.set(func() { i.away = away }) }

// Rotate has the issuer sign with a new key, and forget the old one.
func (i *Issuer) Rotate() {
	key := NewKey(i.t)
	i.set(func() { i.key, i.keyID = key, rand.Text() })
}

// Asked is how often a path was asked for.
func (i *Issuer) Asked(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

// NewKey returns a key that no issuer publishes.
func NewKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return key
}

func (i *Issuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// guard makes one request at a time.
func (i *Issuer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.asked[r.URL.Path]++
		if i.away {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (i *Issuer) document(w http.ResponseWriter, _ *http.Request) {
	document := map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256", "none"},
	}
	for name, value := range i.extra {
		document[name] = value
	}
	answer(w, http.StatusOK, document)
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	asked := r.URL.Query()
	if asked.Get("client_id") != ClientID || asked.Get("response_type") != "code" || asked.Get("code_challenge_method") != "S256" {
		http.Error(w, "wrong request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	i.codes[code] = asked
	back := url.Values{"code": {code}, "state": {asked.Get("state")}}
	http.Redirect(w, r, asked.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther)
}

// token takes a code once, from the client that asked for it alone.
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	if id != ClientID || secret != ClientSecret {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	asked, found := i.codes[r.PostFormValue("code")]
	delete(i.codes, r.PostFormValue("code"))
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !found || asked.Get("redirect_uri") != r.PostFormValue("redirect_uri") || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant", "error_description": "the code " + r.PostFormValue("code") + " is not valid"})
		return
	}
	now := time.Now()
	token := &Token{Key: i.key, KeyID: i.keyID, Claims: map[string]any{
		"iss": i.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": asked.Get("nonce"),
	}}
	for name, value := range i.claims {
		token.Claims[name] = value
	}
	if i.forge != nil {
		i.forge(token)
	}
	answer(w, http.StatusOK, map[string]any{"access_token": "of no use", "token_type": "Bearer", "expires_in": 60, "id_token": token.sign(i.t)})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	exponent := big.NewInt(int64(i.key.E)).Bytes()
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": i.keyID,
		"n": base64.RawURLEncoding.EncodeToString(i.key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(exponent),
	}}})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
