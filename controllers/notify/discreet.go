package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	sending "github.com/penstock-cd/penstock/pkg/notify"
)

// leastSecret is how short a value of a Secret may be that is looked for in errors, in bytes:
// shorter ones would garble words.
const leastSecret = 6

// discreet is a sender whose errors hold nothing of the Secret, whatever a receiver repeats.
type discreet struct {
	sending.Sender
	secrets []string
}

// keepSecret returns the sender with errors that hold no value of the Secret, nor a part of a
// URL that is one.
func keepSecret(sender sending.Sender, data secretData) sending.Sender {
	var secrets []string
	both := "\x00" + string(data[v1alpha1.SecretUsername]) + "\x00" + string(data[v1alpha1.SecretPassword])
	for _, value := range append(slices.Collect(maps.Values(data)), []byte(both)) {
		secrets = append(secrets, string(value), base64.StdEncoding.EncodeToString(value))
		if parsed, err := url.Parse(string(value)); err == nil && parsed.Host != "" {
			secrets = append(secrets, parsed.EscapedPath(), parsed.Path, parsed.RawQuery)
			secrets = append(secrets, strings.FieldsFunc(parsed.Path+"&"+parsed.RawQuery, func(r rune) bool { return strings.ContainsRune("/&=", r) })...)
		}
	}
	secrets = slices.DeleteFunc(secrets, func(secret string) bool { return len(secret) < leastSecret })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) }) // the longest first
	return discreet{Sender: sender, secrets: secrets}
}

// Send implements notify.Sender.
func (d discreet) Send(ctx context.Context, message sending.Message, reference string) (string, error) {
	reference, err := d.Sender.Send(ctx, message, reference)
	return reference, d.redact(err)
}

func (d discreet) redact(err error) error {
	var refused *sending.RefusedError
	var later *sending.LaterError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &sending.RefusedError{Words: d.without(refused.Words)}
	case errors.As(err, &later):
		return &sending.LaterError{After: later.After, Words: d.without(later.Words)}
	}
	return errors.New(d.without(err.Error()))
}

// without leaves the secrets out, also one of which the text was cut.
func (d discreet) without(text string) string {
	for _, secret := range d.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
		text = strings.ReplaceAll(text, url.QueryEscape(secret), "[redacted]")
		text = withoutBeginning(text, secret)
	}
	return text
}

// cut is what a text ends with of which the rest was left out (pkg/clip).
const cut = "…"

func withoutBeginning(text, secret string) string {
	kept, isCut := strings.CutSuffix(text, cut)
	if !isCut {
		return text
	}
	for length := min(len(secret)-1, len(kept)); length > 2; length-- {
		if before, ends := strings.CutSuffix(kept, secret[:length]); ends {
			return before + "[redacted]" + cut
		}
	}
	return text
}
