// Package sender sends webhooks as those do for whom Penstock has Receivers: it signs them, and
// reads how each was answered.
package sender

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// requestTimeout bounds one request.
const requestTimeout = 30 * time.Second

// Sender sends to one Receiver.
type Sender struct {
	// Type is that of the Receiver: github, generic or distribution.
	Type v1alpha1.ReceiverType
	// URL is where the Receiver receives, with its path.
	URL string
	// Token is what the Receiver's Secret holds.
	Token string
	// Client sends the requests.
	Client *http.Client
}

// NewClient returns a client that trusts these authorities, speaks HTTP/2 or else HTTP/1.1, and
// keeps up to so many connections alive. Whoever makes it closes its idle connections.
func NewClient(roots *x509.CertPool, http2 bool, connections int) *http.Client {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, Protocols: protocols, MaxIdleConnsPerHost: connections,
	}}
}

// Answer is what a sender is told.
type Answer struct {
	Status int `json:"-"`
	// ID is the number of the delivery, as Penstock has it.
	ID string `json:"id"`
	// Duplicate is true of a delivery that was kept before.
	Duplicate bool `json:"duplicate"`
}

// Send sends a delivery once. Its error means that there was no answer.
func (s *Sender) Send(ctx context.Context, delivery Delivery) (answer Answer, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(delivery.Body))
	if err != nil {
		return answer, err
	}
	if !s.speaksHTTP2() { // where the server says which requests it has not begun
		request.GetBody = nil // most senders do not send a request again by themselves
	}
	s.sign(request, delivery)
	response, err := s.Client.Do(request)
	if err != nil {
		return answer, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return answer, fmt.Errorf("read the answer: %w", err)
	}
	answer.Status = response.StatusCode
	if answer.Status != http.StatusAccepted {
		return answer, nil
	}
	err = json.Unmarshal(text, &answer)
	return answer, err
}

func (s *Sender) speaksHTTP2() bool {
	transport, ok := s.Client.Transport.(*http.Transport)
	return ok && transport.Protocols != nil && transport.Protocols.HTTP2()
}

func (s *Sender) sign(request *http.Request, delivery Delivery) {
	header := request.Header
	header.Set("Content-Type", "application/json")
	mac := hmac.New(sha256.New, []byte(s.Token))
	mac.Write([]byte(delivery.Body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	switch s.Type {
	case v1alpha1.ReceiverGitHub:
		header.Set("X-GitHub-Event", delivery.Event)
		header.Set("X-GitHub-Delivery", delivery.ID)
		header.Set("X-Hub-Signature-256", signature)
	case v1alpha1.ReceiverDistribution:
		header.Set("Authorization", "Bearer "+s.Token)
	default:
		header.Set("Idempotency-Key", delivery.ID)
		header.Set("X-Signature-256", signature)
	}
}
