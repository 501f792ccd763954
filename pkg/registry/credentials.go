package registry

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// minSecret is how short a secret may be that is looked for in words, in bytes: shorter ones
// would garble them.
const minSecret = 6

// Credentials are what a registry knows somebody by. They are printed as nothing.
type Credentials struct{ config authn.AuthConfig }

// String implements fmt.Stringer.
func (*Credentials) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (*Credentials) GoString() string { return "[redacted]" }

func (c *Credentials) authenticator() authn.Authenticator {
	if c == nil {
		return authn.Anonymous
	}
	return authn.FromConfig(c.config)
}

// sum is the same for the same credentials alone.
func (c *Credentials) sum() [sha256.Size]byte {
	if c == nil {
		return [sha256.Size]byte{}
	}
	encoded, err := json.Marshal([]string{c.config.Username, c.config.Password, c.config.IdentityToken, c.config.RegistryToken})
	if err != nil {
		panic("registry: encode strings: " + err.Error()) // which can't fail
	}
	return sha256.Sum256(encoded)
}

// redact leaves the credentials, and a further secret, out of a text.
func (c *Credentials) redact(text, further string) string {
	secrets := []string{further}
	if c != nil {
		pair := base64.StdEncoding.EncodeToString([]byte(c.config.Username + ":" + c.config.Password))
		secrets = append(secrets, c.config.Password, c.config.IdentityToken, c.config.RegistryToken, pair)
	}
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first
	for _, secret := range secrets {
		if len(secret) >= minSecret {
			text = withoutSecret(text, secret)
		}
	}
	return text
}

// withoutSecret leaves a secret out, also where the text was clipped within it.
func withoutSecret(text, secret string) string {
	const redacted, cut = "[redacted]", "…"
	text = strings.ReplaceAll(text, secret, redacted)
	kept, isCut := strings.CutSuffix(text, cut)
	for length := min(len(secret)-1, len(kept)); isCut && length > 2; length-- {
		if before, ends := strings.CutSuffix(kept, secret[:length]); ends {
			return before + redacted + cut
		}
	}
	return text
}
