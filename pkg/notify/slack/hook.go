package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	slackapi "github.com/slack-go/slack"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Hook posts to an incoming webhook. It cannot update what it has posted.
type Hook struct {
	Client *outbound.Client
	// URL is a secret: it is in no error.
	URL string
	Now func() time.Time
}

// Send implements notify.Sender. The reference is always empty.
func (h *Hook) Send(ctx context.Context, message notify.Message, _ string) (string, error) {
	off := false
	body, err := json.Marshal(slackapi.WebhookMessage{
		Text: text(message), Blocks: &slackapi.Blocks{BlockSet: blocks(message)}, UnfurlLinks: &off, UnfurlMedia: &off,
	})
	if err != nil {
		return "", fmt.Errorf("slack: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return "", notify.Refuse("slack: the URL of the incoming webhook cannot be read")
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := h.Client.Do(request)
	if err != nil {
		return "", notify.Fail("slack", err)
	}
	return "", notify.Judge(answer, h.Now())
}
