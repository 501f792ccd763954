// Package webhook sends notifications as signed JSON, plain, as CloudEvents, or in a form of
// the user's.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Format is the form of the body.
type Format string

// Formats.
const (
	JSON        Format = "JSON"
	CloudEvents Format = "CloudEvents"
)

// secretPrefix marks a secret in base64 (Standard Webhooks: "Signature scheme").
const secretPrefix = "whsec_"

// maxBody is the largest body that is sent, in bytes: Standard Webhooks advises to stay below
// 20 KiB, and many receivers refuse more.
const maxBody = 20 << 10

// Config is a receiver.
type Config struct {
	Client *outbound.Client
	// URL may be a secret itself: it is in no error.
	URL string
	// Secrets sign each request, all of them, so that a receiver can change from one to the
	// next. Empty means unsigned.
	Secrets []string
	Format  Format
	// Source is the CloudEvents source: who sends.
	Source string
	// Body makes the body instead of Format. Optional.
	Body func(notify.Message) (any, error)
	Now  func() time.Time
}

// Sender posts to one URL. The headers are those of Standard Webhooks 1.0.0
// (standard-webhooks/standard-webhooks, spec/standard-webhooks.md): webhook-id,
// webhook-timestamp and webhook-signature.
type Sender struct{ config Config }

// New returns a Sender.
func New(config Config) *Sender { return &Sender{config: config} }

// Send implements notify.Sender. The reference is always empty: each version is a delivery of its own, since a receiver that
// drops repeats must not drop newer figures.
func (s *Sender) Send(ctx context.Context, message notify.Message, _ string) (string, error) {
	body, contentType, err := s.body(message)
	if err != nil {
		return "", err
	}
	id := deliveryID(message)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return "", notify.Refuse("webhook: the URL cannot be read")
	}
	now := s.config.Now()
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("User-Agent", "penstock")
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	signatures := make([]string, len(s.config.Secrets))
	for i, secret := range s.config.Secrets {
		if signatures[i], err = Signature(secret, id, now, body); err != nil {
			return "", err
		}
	}
	if len(signatures) > 0 {
		request.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	answer, err := s.config.Client.Do(request)
	if err != nil {
		return "", notify.Fail("webhook", err)
	}
	return "", notify.Judge(answer, now)
}

func deliveryID(message notify.Message) string {
	if message.Version <= 1 {
		return message.ID
	}
	return fmt.Sprintf("%s.%d", message.ID, message.Version)
}

// body leaves details out until what is left is small enough; what the user's own form makes is
// refused where it is not.
func (s *Sender) body(message notify.Message) (body []byte, contentType string, err error) {
	for {
		body, contentType, err = s.encode(message)
		if err != nil || len(body) <= maxBody {
			return body, contentType, err
		}
		if s.config.Body != nil || len(message.Details) == 0 {
			return nil, "", notify.Refuse("webhook: the body has %d bytes, at most %d are sent", len(body), maxBody)
		}
		kept := len(message.Details) / 2
		message.Omitted += len(message.Details) - kept
		message.Details = message.Details[:kept]
	}
}

func (s *Sender) encode(message notify.Message) (body []byte, contentType string, err error) {
	var content any = message
	contentType = "application/json"
	switch {
	case s.config.Body != nil:
		if content, err = s.config.Body(message); err != nil {
			return nil, "", err
		}
	case s.config.Format == CloudEvents:
		content, contentType = s.event(message), "application/cloudevents+json"
	}
	body, err = json.Marshal(content)
	if err != nil {
		return nil, "", notify.Refuse("webhook: the body is no JSON: %s", err)
	}
	return body, contentType, nil
}

// cloudEvent is a CloudEvent 1.0 in structured mode (cloudevents/spec, formats/json-format.md).
type cloudEvent struct {
	SpecVersion     string         `json:"specversion"`
	ID              string         `json:"id"`
	Source          string         `json:"source"`
	Type            string         `json:"type"`
	Subject         string         `json:"subject,omitempty"`
	Time            time.Time      `json:"time"`
	DataContentType string         `json:"datacontenttype"`
	Data            notify.Message `json:"data"`
}

func (s *Sender) event(message notify.Message) cloudEvent {
	return cloudEvent{
		SpecVersion: "1.0", ID: deliveryID(message), Source: s.config.Source, Type: "dev.penstock." + message.Type,
		Subject: message.Subject.Build, Time: message.Time, DataContentType: "application/json", Data: message,
	}
}

// Signature signs a body: HMAC-SHA256 of "id.timestamp.body", in base64, behind its version.
// A secret that begins with whsec_ is in base64, any other is taken as it is.
func Signature(secret, id string, at time.Time, body []byte) (string, error) {
	key := []byte(secret)
	if encoded, found := strings.CutPrefix(secret, secretPrefix); found {
		var err error
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return "", fmt.Errorf("webhook: the signing secret begins with %s and is no base64 behind it", secretPrefix)
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
