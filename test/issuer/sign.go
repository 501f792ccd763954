package issuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// sign returns the token as a JWS with RS256, or without a signature where there is no key
// (RFC 7515).
func (token *Token) sign(t testing.TB) string {
	header := map[string]any{"alg": "RS256", "typ": "JWT", "kid": token.KeyID}
	if token.Key == nil {
		header = map[string]any{"alg": "none"}
	}
	signed := encode(t, header) + "." + encode(t, token.Claims)
	if token.Key == nil {
		return signed + "."
	}
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, token.Key, crypto.SHA256, sum[:])
	require.NoError(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(t testing.TB, part map[string]any) string {
	text, err := json.Marshal(part)
	require.NoError(t, err)
	return base64.RawURLEncoding.EncodeToString(text)
}
