// Package slack sends notifications to Slack, by a bot's token or by an incoming webhook.
package slack

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	slackapi "github.com/slack-go/slack"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/outbound"
)

// API is where Slack answers a bot.
const API = "https://slack.com/api/"

// BotConfig is a channel that a bot writes to.
type BotConfig struct {
	Client *outbound.Client
	// Token begins with xoxb- and has the scope chat:write.
	Token string
	// Channel is a name or an id.
	Channel string
	// API defaults to Slack's.
	API string
}

// Bot posts as a bot, and updates what it has posted.
type Bot struct {
	api     *slackapi.Client
	channel string
}

// NewBot returns a Bot.
func NewBot(config BotConfig) *Bot {
	where := config.API
	if where == "" {
		where = API
	}
	where = strings.TrimSuffix(where, "/") + "/" // the library appends the method as it is
	return &Bot{api: slackapi.New(config.Token, slackapi.OptionHTTPClient(config.Client.HTTP()), slackapi.OptionAPIURL(where)), channel: config.Channel}
}

// Send implements notify.Sender. The reference is "channel id:timestamp".
func (b *Bot) Send(ctx context.Context, message notify.Message, reference string) (string, error) {
	options := []slackapi.MsgOption{
		slackapi.MsgOptionText(text(message), false), slackapi.MsgOptionBlocks(blocks(message)...),
		slackapi.MsgOptionDisableLinkUnfurl(), slackapi.MsgOptionDisableMediaUnfurl(),
		slackapi.MsgOptionMetadata(slackapi.SlackMetadata{EventType: "penstock_notification", EventPayload: map[string]any{"id": message.ID, "version": message.Version}}),
	}
	if channel, at, found := strings.Cut(reference, ":"); found {
		_, _, _, err := b.api.UpdateMessageContext(ctx, channel, at, options...)
		if !isGone(err) {
			return reference, judge(err)
		}
	}
	channel, at, err := b.api.PostMessageContext(ctx, b.channel, options...)
	if err != nil {
		return "", judge(err)
	}
	if channel == "" || at == "" {
		return "", errors.New("slack: the answer names no message")
	}
	return channel + ":" + at, nil
}

// isGone tells whether a message can no longer be updated, so that a new one is due.
func isGone(err error) bool {
	var refused slackapi.SlackErrorResponse
	return errors.As(err, &refused) && slices.Contains([]string{"message_not_found", "edit_window_closed", "cant_update_message"}, refused.Err)
}

// passing are Slack's errors that may go away by themselves (docs.slack.dev/reference/methods/chat.postMessage).
var passing = []string{"internal_error", "fatal_error", "service_unavailable", "request_timeout"}

func judge(err error) error {
	var limited *slackapi.RateLimitedError
	var refused slackapi.SlackErrorResponse
	var status slackapi.StatusCodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limited):
		return notify.Later(limited.RetryAfter, "slack: rate limit")
	case errors.As(err, &refused) && (refused.Err == "rate_limited" || refused.Err == "ratelimited"):
		return notify.Later(0, "slack: rate limit")
	case errors.As(err, &refused) && !slices.Contains(passing, refused.Err):
		return notify.Refuse("slack: %s%s", refused.Err, remedy(refused.Err))
	case errors.As(err, &status) && status.Code >= 300 && status.Code < 500 && status.Code != http.StatusTooManyRequests && status.Code != http.StatusRequestTimeout:
		return notify.Refuse("slack: %s", status.Status)
	}
	return notify.Fail("slack", err)
}

// remedy is what to do about the errors that people meet first.
func remedy(code string) string {
	switch code {
	case "not_in_channel":
		return ": invite the bot to the channel"
	case "channel_not_found":
		return ": the channel does not exist, or is private and the bot is not in it"
	case "invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive":
		return ": the token is not valid: put a new one into the Secret"
	case "missing_scope":
		return ": give the bot the scope chat:write"
	}
	return ""
}
