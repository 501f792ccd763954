package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureHeader is that of the senders that have no scheme of their own:
// sha256=<HMAC-SHA256 of the body in hexadecimal>, as `openssl dgst -sha256 -hmac` makes it.
const signatureHeader = "X-Signature-256"

// maxSignatures bounds how many signatures one header may hold.
const maxSignatures = 8

// maxSkew is how far the time in a signature may be from ours, as Standard Webhooks advises:
// an older delivery is one that somebody recorded and sent again.
const maxSkew = 5 * time.Minute

// spend does the work of one verification for each secret.
func spend(body []byte) {
	for range MaxSecrets {
		sum([]byte("nothing"), body)
	}
}

func sum(secret []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// padded returns MaxSecrets secrets, so that every verification takes as long; an empty one
// fits nothing.
func padded(secrets [][]byte) [MaxSecrets][]byte {
	var all [MaxSecrets][]byte
	copy(all[:], secrets)
	return all
}

// verifySum verifies sha256=<hexadecimal> in a header over the body.
func verifySum(request Request, name string, secrets [][]byte) error {
	given, err := hex.DecodeString(strings.TrimPrefix(only(request.Header, name), "sha256="))
	fits := 0
	for _, secret := range padded(secrets) {
		want := sum(secret, request.Body)
		fits |= subtle.ConstantTimeCompare(given, want) & present(secret)
	}
	if fits == 0 || err != nil || !strings.HasPrefix(only(request.Header, name), "sha256=") {
		return ErrUnverified
	}
	return nil
}

// verifyToken verifies a secret that the sender presents as it is.
func verifyToken(request Request, given string, secrets [][]byte) error {
	fits := 0
	for _, secret := range padded(secrets) {
		// Sums have one length, so that the time does not tell that of the secret.
		fits |= subtle.ConstantTimeCompare(sum(secret, []byte(given)), sum(secret, secret)) & present(secret)
	}
	spend(request.Body)
	if fits == 0 {
		return ErrUnverified
	}
	return nil
}

// verifyStandard verifies the headers of Standard Webhooks
// (https://github.com/standard-webhooks/standard-webhooks): webhook-signature holds
// v1,<base64> over "id.timestamp.body", one for each key, separated by spaces.
func verifyStandard(request Request, secrets [][]byte) error {
	id, at := only(request.Header, "Webhook-Id"), only(request.Header, "Webhook-Timestamp")
	prefix := []byte(id + "." + at + ".")
	fits := 0
	for _, secret := range padded(secrets) {
		key := standardKey(secret)
		want := sum(key, prefix, request.Body)
		for _, given := range standardSignatures(request.Header) {
			fits |= subtle.ConstantTimeCompare(given, want) & present(key)
		}
	}
	if fits == 0 || id == "" || !isRecent(at, request.At) {
		return ErrUnverified
	}
	return nil
}

// standardKey is the key of a secret of the form whsec_<base64>; any other secret is the key.
func standardKey(secret []byte) []byte {
	encoded, found := strings.CutPrefix(string(secret), "whsec_")
	if !found {
		return secret
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil
	}
	return key
}

func standardSignatures(header http.Header) [][]byte {
	var signatures [][]byte
	for index, field := range strings.Fields(only(header, "Webhook-Signature")) {
		encoded, found := strings.CutPrefix(field, "v1,")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if index < maxSignatures && found && err == nil {
			signatures = append(signatures, signature)
		}
	}
	return signatures
}

func isRecent(timestamp string, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	return err == nil && time.Unix(seconds, 0).Sub(now).Abs() <= maxSkew
}

func present(secret []byte) int {
	if len(secret) == 0 {
		return 0
	}
	return 1
}

// only returns the header's value, or nothing where it was sent more than once.
func only(header http.Header, name string) string {
	if values := header.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// bearer returns the token of an Authorization header, with or without a scheme before it.
func bearer(header http.Header) string {
	value := only(header, "Authorization")
	if scheme, token, found := strings.Cut(value, " "); found && strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return value
}
