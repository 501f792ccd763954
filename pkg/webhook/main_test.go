package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	commit  = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
	nothing = "0000000000000000000000000000000000000000"
	digest  = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func senderOf(t testing.TB, of v1alpha1.ReceiverType) webhook.Sender {
	t.Helper()
	sender, found := webhook.SenderOf(of)
	require.True(t, found)
	return sender
}

// request has headers as pairs of name and value.
func request(body string, headers ...string) webhook.Request {
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Add(headers[i], headers[i+1])
	}
	return webhook.Request{Header: header, Body: []byte(body), At: now}
}

func parse(t testing.TB, of v1alpha1.ReceiverType, body string, headers ...string) webhook.Event {
	t.Helper()
	event, err := senderOf(t, of).Parse(request(body, headers...))
	require.NoError(t, err)
	return event
}

func hexSum(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func secrets(all ...string) [][]byte {
	var result [][]byte
	for _, one := range all {
		result = append(result, []byte(one))
	}
	return result
}

func names(all []webhook.Repository) []string {
	var result []string
	for _, one := range all {
		result = append(result, one.Name)
	}
	return result
}

func images(all []webhook.Image) []string {
	var result []string
	for _, one := range all {
		result = append(result, one.String())
	}
	return result
}
