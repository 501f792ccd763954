package given

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Secret holds texts.
func Secret(name string, texts map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace}, StringData: texts}
}

// Channel is a NotificationChannel, which is to be changed until it is valid.
func Channel(name string, kind v1alpha1.ChannelType, change func(*v1alpha1.NotificationChannelSpec)) *v1alpha1.NotificationChannel {
	channel := &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace}, Spec: v1alpha1.NotificationChannelSpec{Type: kind},
	}
	change(&channel.Spec)
	return channel
}

// SlackChannel is one that a bot writes to, with the token of a Secret.
func SlackChannel(name, secret, api string) *v1alpha1.NotificationChannel {
	return Channel(name, v1alpha1.ChannelSlack, func(s *v1alpha1.NotificationChannelSpec) {
		s.SecretRef = &v1alpha1.LocalSecretReference{Name: secret}
		s.Slack = &v1alpha1.SlackChannel{Channel: "#deploys", API: api}
	})
}

// EmailChannel is one without encryption.
func EmailChannel(name, host string, port int) *v1alpha1.NotificationChannel {
	return Channel(name, v1alpha1.ChannelEmail, func(s *v1alpha1.NotificationChannelSpec) {
		s.Email = &v1alpha1.EmailChannel{Host: host, Port: int32(port), Security: "None", From: "penstock@example.org", To: []string{"team@example.org"}}
	})
}

// WebhookChannel is unsigned.
func WebhookChannel(name, url string) *v1alpha1.NotificationChannel {
	return Channel(name, v1alpha1.ChannelWebhook, func(s *v1alpha1.NotificationChannelSpec) {
		s.Webhook = &v1alpha1.WebhookChannel{URL: url}
	})
}

// Policy tells of events in channels, grouped by build.
func Policy(name string, on []v1alpha1.NotificationEvent, channels ...string) *v1alpha1.NotificationPolicy {
	return &v1alpha1.NotificationPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace},
		Spec:       v1alpha1.NotificationPolicySpec{Events: on, Channels: channels, Group: v1alpha1.NotificationGroup{By: v1alpha1.GroupByBuild}},
	}
}

// Grouped changes how a policy groups.
func Grouped(policy *v1alpha1.NotificationPolicy, by v1alpha1.GroupBy, wait, interval time.Duration) *v1alpha1.NotificationPolicy {
	policy.Spec.Group = v1alpha1.NotificationGroup{By: by, Wait: &metav1.Duration{Duration: wait}, Interval: &metav1.Duration{Duration: interval}}
	return policy
}
