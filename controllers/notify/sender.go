package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	sending "github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/notify/commitstatus"
	"github.com/penstock-cd/penstock/pkg/notify/email"
	"github.com/penstock-cd/penstock/pkg/notify/slack"
	"github.com/penstock-cd/penstock/pkg/notify/webhook"
)

// source is the CloudEvents source.
const source = "/penstock"

// secretData is what a channel's Secret holds.
type secretData map[string][]byte

// get returns a value, or which key is missing.
func (s secretData) get(secret, key string) (string, error) {
	value := string(s[key])
	if value == "" {
		return "", fmt.Errorf("the Secret %s has no key %s: add it", secret, key)
	}
	return value, nil
}

// senderWith makes the sender of a channel, whose errors hold nothing of the Secret.
func (n *Notifier) senderWith(channel v1alpha1.NotificationChannel, data secretData) (sending.Sender, error) {
	sender, err := n.senderOf(channel, data)
	return keepSecret(sender, data), err
}

func (n *Notifier) senderOf(channel v1alpha1.NotificationChannel, data secretData) (sending.Sender, error) {
	name := ""
	if channel.Spec.SecretRef != nil {
		name = channel.Spec.SecretRef.Name
	}
	switch channel.Spec.Type {
	case v1alpha1.ChannelSlack:
		return n.slack(channel.Spec.Slack, data, name)
	case v1alpha1.ChannelEmail:
		return n.email(channel.Spec.Email, data, name)
	case v1alpha1.ChannelCommitStatus:
		return n.commitStatus(channel.Spec.CommitStatus, data, name)
	case v1alpha1.ChannelWebhook:
		return n.webhook(channel.Spec.Webhook, data, name)
	}
	return nil, sending.Refuse("spec.type is %q, which this Penstock does not know", channel.Spec.Type)
}

// readSecret reads what a channel's Secret holds now.
func (n *Notifier) readSecret(ctx context.Context, key types.NamespacedName) (secretData, error) {
	var secret corev1.Secret
	switch err := n.Live.Get(ctx, key, &secret); {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("the Secret %s does not exist in namespace %s: create it", key.Name, key.Namespace)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("not allowed to read the Secret %s in namespace %s: bind the ClusterRole penstock-notifications there, see docs/notifications.md", key.Name, key.Namespace)
	case err != nil:
		return nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	if secret.Type != "" && secret.Type != corev1.SecretTypeOpaque {
		return nil, fmt.Errorf("the Secret %s is of type %s and holds what is not meant for a receiver: name one of type %s", key.Name, secret.Type, corev1.SecretTypeOpaque)
	}
	data := secretData{}
	for key, value := range secret.Data {
		data[key] = bytes.TrimRight(value, "\r\n") // what a file ends with is no part of a token, a password or a URL
	}
	return data, nil
}

func (n *Notifier) slack(spec *v1alpha1.SlackChannel, data secretData, secret string) (sending.Sender, error) {
	if spec == nil {
		url, err := data.get(secret, v1alpha1.SecretURL)
		return &slack.Hook{Client: n.client, URL: url, Now: time.Now}, err
	}
	token, err := data.get(secret, v1alpha1.SecretToken)
	if err != nil {
		return nil, err
	}
	return slack.NewBot(slack.BotConfig{Client: n.client, Token: token, Channel: spec.Channel, API: spec.API}), nil
}

func (n *Notifier) email(spec *v1alpha1.EmailChannel, data secretData, secret string) (sending.Sender, error) {
	config := email.Config{
		Dial: n.Guard.DialContext, Host: spec.Host, Port: int(spec.Port), Security: email.Security(spec.Security), From: spec.From, To: spec.To,
		User: string(data[v1alpha1.SecretUsername]), Password: string(data[v1alpha1.SecretPassword]),
	}
	if ca := data[v1alpha1.SecretCA]; len(ca) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("the key %s of Secret %s holds no certificate in PEM", v1alpha1.SecretCA, secret)
		}
		config.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return email.New(config), nil
}

func (n *Notifier) commitStatus(spec *v1alpha1.CommitStatusChannel, data secretData, secret string) (sending.Sender, error) {
	token, err := data.get(secret, v1alpha1.SecretToken)
	if err != nil {
		return nil, err
	}
	return commitstatus.New(commitstatus.Config{Client: n.client, Host: commitstatus.Host(spec.Host), API: spec.API, Token: token, Now: time.Now}), nil
}

func (n *Notifier) webhook(spec *v1alpha1.WebhookChannel, data secretData, secret string) (sending.Sender, error) {
	if spec == nil {
		spec = &v1alpha1.WebhookChannel{}
	}
	config := webhook.Config{Client: n.client, URL: spec.URL, Format: webhook.Format(spec.Format), Source: source, Now: time.Now}
	if config.URL == "" {
		var err error
		if config.URL, err = data.get(secret, v1alpha1.SecretURL); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{v1alpha1.SecretSigningKey, v1alpha1.SecretSigningKeyOld} {
		if value := string(data[key]); value != "" {
			config.Secrets = append(config.Secrets, value)
		}
	}
	if spec.Body != "" {
		config.Body = func(message sending.Message) (any, error) { return n.body(spec.Body, message) }
	}
	return webhook.New(config), nil
}

// body makes what a channel's own expression says.
func (n *Notifier) body(expression string, message sending.Message) (json.RawMessage, error) {
	body, err := n.expressions.JSON(expression, message)
	if err != nil {
		return nil, sending.Refuse("spec.webhook.body: %s", err)
	}
	return body, nil
}
