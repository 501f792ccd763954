// Package oidc signs people in at an identity provider, by OpenID Connect's authorization code
// flow with PKCE. It keeps what the provider publishes about itself, and nothing about people.
package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"
)

const (
	// discoveryTTL is how long what the provider publishes about itself counts. Its keys are
	// looked at again as soon as one is not known.
	discoveryTTL = time.Hour
	// discoveryRetry is the shortest time between two looks at a provider that is away.
	discoveryRetry = 2 * time.Second
	// maxExchanges is how many codes are exchanged at once.
	maxExchanges = 16
)

// Config says which provider people sign in at. Every field but Secret, CAFile and Proxy is
// required.
type Config struct {
	// Issuer is the provider's URL, as the provider itself names it.
	Issuer string
	// ClientID is what the provider knows the dashboard by, and Secret what proves it. Without
	// a secret the dashboard is a public client.
	ClientID, Secret string
	// CAFile has the CA of the provider's certificate. Defaults to what the system trusts.
	CAFile string
	// Proxy is what requests to the provider go through. Defaults to none.
	Proxy *url.URL
	// Scopes are what the provider is asked for, openid among them.
	Scopes []string
	// RedirectURL is where the provider sends the browser back to.
	RedirectURL string
	// Names tells who somebody is in Kubernetes.
	Names Names
	Clock clock.PassiveClock
}

// Provider signs people in. It is safe for concurrent use.
type Provider struct {
	config    Config
	host      string
	exchanges chan struct{}
	flights   singleflight.Group

	mu   sync.Mutex
	last look
}

// look is the last one at what the provider publishes about itself.
type look struct {
	at    time.Time // zero before the first
	found *published
	err   error // found is then what an earlier one has found
}

// published is what a provider has told of itself.
type published struct {
	client     *http.Client
	oauth      oauth2.Config
	verifier   *oidc.IDTokenVerifier
	endSession string
}

// New returns a provider, whose server is asked when somebody signs in. It fails where the
// settings can't be used.
func New(config Config) (*Provider, error) {
	issuer, err := url.Parse(config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("OIDC_ISSUER_URL: %w", err)
	}
	if _, err := newClient(config.CAFile, config.Proxy); err != nil {
		return nil, err
	}
	return &Provider{config: config, host: issuer.Host, exchanges: make(chan struct{}, maxExchanges)}, nil
}

// Host names the provider for people.
func (p *Provider) Host() string { return p.host }

// Settings differ between providers, and between those who would name somebody differently: who
// has signed in with others has to do so again.
func (p *Provider) Settings() string {
	text := fmt.Sprintf("%q %q %q", p.config.Issuer, p.config.ClientID, p.config.Names)
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// discover returns what the provider has published, and looks again once that is old. While the
// provider does not answer, what is known counts on.
func (p *Provider) discover(ctx context.Context) (*published, error) {
	last := p.lastLook()
	if p.counts(last) {
		return last.result()
	}
	flight := p.flights.DoChan("", func() (any, error) {
		// The flight is that of everybody who signs in: it does not end with one of them. The
		// client has a time-out.
		return p.look(context.WithoutCancel(ctx)).result()
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-flight:
		found, _ := answer.Val.(*published)
		return found, answer.Err
	}
}

func (p *Provider) lastLook() look {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// counts tells whether it is too early for another look.
func (p *Provider) counts(last look) bool {
	lifetime := discoveryTTL
	if last.err != nil {
		lifetime = discoveryRetry
	}
	return !last.at.IsZero() && p.config.Clock.Since(last.at) < lifetime
}

func (l look) result() (*published, error) {
	if l.found != nil {
		return l.found, nil
	}
	return nil, l.err
}

func (p *Provider) look(ctx context.Context) look {
	found, err := p.ask(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		found = p.last.found
	}
	p.last = look{at: p.config.Clock.Now(), found: found, err: err}
	return p.last
}

// metadata is the part of the provider's document that go-oidc leaves to its callers.
type metadata struct {
	EndSession  string   `json:"end_session_endpoint"`
	AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
	JWKS        string   `json:"jwks_uri"`
}

func (p *Provider) ask(ctx context.Context) (*published, error) {
	client, err := newClient(p.config.CAFile, p.config.Proxy)
	if err != nil {
		return nil, err
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), p.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the identity provider: %w", err)
	}
	var more metadata
	if err := provider.Claims(&more); err != nil {
		return nil, fmt.Errorf("discover the identity provider: %w", err)
	}
	endpoint := provider.Endpoint()
	for _, address := range []string{endpoint.AuthURL, endpoint.TokenURL, more.JWKS} {
		if !isEncrypted(address) {
			return nil, errors.New("discover the identity provider: an endpoint is not https: " + address)
		}
	}
	if !isEncrypted(more.EndSession) {
		more.EndSession = ""
	}
	endpoint.AuthStyle = styleOf(p.config.Secret, more.AuthMethods)
	return &published{
		client: client, endSession: more.EndSession,
		oauth:    oauth2.Config{ClientID: p.config.ClientID, ClientSecret: p.config.Secret, Endpoint: endpoint, RedirectURL: p.config.RedirectURL, Scopes: p.config.Scopes},
		verifier: provider.Verifier(&oidc.Config{ClientID: p.config.ClientID, Now: p.config.Clock.Now}),
	}, nil
}

func isEncrypted(address string) bool {
	parsed, err := url.Parse(address)
	return err == nil && strings.EqualFold(parsed.Scheme, "https") && parsed.Host != ""
}

// styleOf is how the secret is sent. It is not tried out, since a code can be sent once.
func styleOf(secret string, methods []string) oauth2.AuthStyle {
	if secret == "" || len(methods) > 0 && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}
