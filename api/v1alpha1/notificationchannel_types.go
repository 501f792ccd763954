package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ChannelType is what a NotificationChannel sends to.
//
// +kubebuilder:validation:Enum=slack;email;commitStatus;webhook
type ChannelType string

// The types of channels.
const (
	ChannelSlack        ChannelType = "slack"
	ChannelEmail        ChannelType = "email"
	ChannelCommitStatus ChannelType = "commitStatus"
	ChannelWebhook      ChannelType = "webhook"
)

// Keys of a channel's Secret.
const (
	// SecretToken is a bot's token of Slack, or the token of a host of repositories.
	SecretToken = "token"
	// SecretURL is the URL of an incoming webhook of Slack, or of a webhook's receiver.
	SecretURL = "url"
	// SecretUsername is who logs in at a mail server.
	SecretUsername = "username"
	// SecretPassword is what they log in with.
	SecretPassword = "password"
	// SecretCA holds certificates in PEM that a mail server's is checked with as well.
	SecretCA = "ca.crt"
	// SecretSigningKey signs what is sent to a webhook.
	SecretSigningKey = "signingKey"
	// SecretSigningKeyOld signs it as well, while the receiver changes from one to the other.
	SecretSigningKeyOld = "signingKeyOld"
)

// LocalSecretReference names a Secret in the same namespace.
type LocalSecretReference struct {
	// Name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	Name string `json:"name"`
}

// SlackChannel is a channel of Slack that a bot writes to. Its token is in the Secret, under
// the key token, and has the scope chat:write.
//
// +kubebuilder:validation:XValidation:rule="!has(self.api) || self.api.matches('^https?://[^[:space:]/?#@]+(/[^[:space:]?#]*)?$')",message="api must be a URL such as https://slack.com/api/, without a user name, a query or a fragment",fieldPath=".api"
type SlackChannel struct {
	// Channel is a name such as #deploys, or an id.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Channel string `json:"channel"`

	// API is where Slack answers. Empty means https://slack.com/api/.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	API string `json:"api,omitempty"`
}

// EmailChannel is a mail server, and who is written to. The Secret, where there is one, holds
// the keys username and password, and perhaps ca.crt.
type EmailChannel struct {
	// Host of the mail server: a name or an address.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9.-]+$') || isIP(self)",message="host must be a name or an address, without a port: put that into the field port"
	Host string `json:"host"`

	// Port of the mail server. Absent means 587 for STARTTLS, 465 for TLS, 25 for None.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// Security is how the connection is encrypted. No password is sent with None.
	// +optional
	// +kubebuilder:default=STARTTLS
	// +kubebuilder:validation:Enum=STARTTLS;TLS;None
	Security string `json:"security,omitempty"`

	// From is the address of the sender.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^[:cntrl:]]+@[^[:cntrl:]]+$')",message="from must be one address on one line, such as penstock@example.org or Penstock <penstock@example.org>"
	From string `json:"from"`

	// To are the addresses that are written to, in one e-mail.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MinLength=3
	// +kubebuilder:validation:items:MaxLength=320
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[^[:cntrl:]]+@[^[:cntrl:]]+$')",message="to must hold one address on one line in each item, such as team@example.org"
	// +listType=set
	To []string `json:"to"`
}

// CommitStatusChannel is a host of repositories. The Secret holds the key token.
//
// +kubebuilder:validation:XValidation:rule="!has(self.api) || self.api.matches('^https?://[^[:space:]/?#@]+(/[^[:space:]?#]*)?$')",message="api must be a URL such as https://git.example.org/api/v4, without a user name, a query or a fragment",fieldPath=".api"
type CommitStatusChannel struct {
	// Host is whose API is called.
	// +kubebuilder:validation:Enum=GitHub;GitLab
	Host string `json:"host"`

	// API of a host of your own, such as https://git.example.org/api/v4. Empty means that of
	// the public service.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	API string `json:"api,omitempty"`
}

// WebhookChannel is a receiver of JSON. The Secret, where there is one, holds the keys
// signingKey, signingKeyOld, and url where the URL is a secret itself.
//
// +kubebuilder:validation:XValidation:rule="!has(self.url) || self.url.matches('^https?://[^[:space:]/?#@]+([/?#][^[:space:]]*)?$')",message="url must begin with https:// or http://, and hold no user name: a URL with credentials belongs into the Secret, under the key url",fieldPath=".url"
type WebhookChannel struct {
	// URL of the receiver. Leave it out where the Secret holds it.
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`

	// Format of the body where no template is given.
	// +optional
	// +kubebuilder:default=JSON
	// +kubebuilder:validation:Enum=JSON;CloudEvents
	Format string `json:"format,omitempty"`

	// Body is a CEL expression that makes the body instead, of the variable message.
	// +optional
	// +kubebuilder:validation:MaxLength=8192
	Body string `json:"body,omitempty"`
}

// ChannelRateLimit bounds what a channel is sent.
type ChannelRateLimit struct {
	// PerMinute is how many notifications a channel begins in a minute. What comes beyond
	// that is told in one digest.
	// +optional
	// +kubebuilder:default=30
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=600
	PerMinute int32 `json:"perMinute,omitempty"`
}

// NotificationChannelSpec says where notifications go.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'slack' || !has(self.slack)",message="slack can only be set where type is slack: remove it, or change type",fieldPath=".slack"
// +kubebuilder:validation:XValidation:rule="(self.type == 'email') == has(self.email)",message="email must be set where type is email, and only there",fieldPath=".email"
// +kubebuilder:validation:XValidation:rule="(self.type == 'commitStatus') == has(self.commitStatus)",message="commitStatus must be set where type is commitStatus, and only there",fieldPath=".commitStatus"
// +kubebuilder:validation:XValidation:rule="self.type == 'webhook' || !has(self.webhook)",message="webhook can only be set where type is webhook: remove it, or change type",fieldPath=".webhook"
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) || self.type == 'email' || (self.type == 'webhook' && has(self.webhook) && has(self.webhook.url))",message="secretRef is needed: it names the Secret with the token, or the URL",fieldPath=".secretRef"
type NotificationChannelSpec struct {
	// Type is what the channel sends to. The field of the same name says how.
	Type ChannelType `json:"type"`

	// SecretRef names the Secret with what must not be seen. It is read when
	// something is sent, and what it held is used for five seconds at most, or until the
	// receiver refuses it.
	// +optional
	SecretRef *LocalSecretReference `json:"secretRef,omitempty"`

	// Slack is the channel that a bot writes to. Absent means an incoming webhook, whose URL is
	// in the Secret under the key url.
	// +optional
	Slack *SlackChannel `json:"slack,omitempty"`

	// Email is a mail server and who is written to.
	// +optional
	Email *EmailChannel `json:"email,omitempty"`

	// CommitStatus is a host of repositories.
	// +optional
	CommitStatus *CommitStatusChannel `json:"commitStatus,omitempty"`

	// Webhook is a receiver of JSON.
	// +optional
	Webhook *WebhookChannel `json:"webhook,omitempty"`

	// RateLimit bounds what the channel is sent.
	// +optional
	// +kubebuilder:default={}
	RateLimit *ChannelRateLimit `json:"rateLimit,omitempty"`

	// Suspend true means that nothing is sent for now; what is to be sent waits.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Updates tells whether a message that was sent can be changed in place.
func (s NotificationChannelSpec) Updates() bool { return s.Type == ChannelSlack && s.Slack != nil }

// NotificationChannelStatus is written by Penstock alone.
type NotificationChannelStatus struct {
	// LastDelivered is when the receiver last accepted a message.
	// +optional
	LastDelivered *metav1.Time `json:"lastDelivered,omitempty"`

	// LastError is what the receiver, or the way to it, last refused a message with.
	// +optional
	LastError string `json:"lastError,omitempty"`

	// LastErrorAt is when that was.
	// +optional
	LastErrorAt *metav1.Time `json:"lastErrorAt,omitempty"`

	// Waiting is how many messages wait to be sent, or to be tried again.
	// +optional
	Waiting int64 `json:"waiting"`

	// Dropped is how many messages were given up and not sent again, of those that are kept.
	// +optional
	Dropped int64 `json:"dropped"`

	// Conditions: Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NotificationChannel is where notifications go: Slack, e-mail, the status of commits, or a
// webhook.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=nch,categories=penstock
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Delivered",type=date,JSONPath=`.status.lastDelivered`
// +kubebuilder:printcolumn:name="Waiting",type=integer,JSONPath=`.status.waiting`
// +kubebuilder:printcolumn:name="Dropped",type=integer,JSONPath=`.status.dropped`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type NotificationChannel struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   NotificationChannelSpec   `json:"spec"`
	Status NotificationChannelStatus `json:"status,omitempty"`
}

// NotificationChannelList is a list of NotificationChannels.
//
// +kubebuilder:object:root=true
type NotificationChannelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NotificationChannel `json:"items"`
}
