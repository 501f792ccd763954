package webhook

import "github.com/penstock-cd/penstock/api/v1alpha1"

// generic is anything that can send JSON with a signature: the Receiver's mapping says what it
// means.
type generic struct{}

// Headers implements Sender.
func (generic) Headers() []string { return []string{"Idempotency-Key"} }

// Verify implements Sender.
func (generic) Verify(request Request, secrets [][]byte) error {
	return verifySum(request, signatureHeader, secrets)
}

// Payload implements Sender.
func (generic) Payload(request Request) ([]byte, error) { return request.Body, nil }

// Parse implements Sender. It checks the shape alone.
func (generic) Parse(request Request) (Event, error) {
	id := firstOf(request.Header.Get("Idempotency-Key"), bodyID(request.Body))
	event := Event{Kind: Unmapped, Name: string(v1alpha1.ReceiverGeneric), ID: bounded(id)}
	var body map[string]any
	return event, decode(request.Body, &body)
}
