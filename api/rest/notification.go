package rest

import (
	"encoding/json"
	"time"
)

// NotificationList is notifications of one namespace, the newest first.
type NotificationList struct {
	Page

	Items []Notification `json:"items" nullable:"false"`
}

// Notification is what was told, or is to be told, of one group of events in one channel.
type Notification struct {
	ID        int64      `json:"id" doc:"Unique in the installation."`
	Policy    string     `json:"policy,omitempty" doc:"NotificationPolicy; absent for a test, and for a digest of what came beyond the channel's rate."`
	Channel   string     `json:"channel" doc:"NotificationChannel."`
	Type      string     `json:"type" doc:"The last event: one of spec.events of a NotificationPolicy, Storm or Test."`
	State     string     `json:"state" enum:"Waiting,Sent,GivenUp,Skipped" doc:"Waiting: it is to be sent, or to be tried again. GivenUp: the receiver refused it, or it was tried for a day. Skipped: it was over before it was told."`
	Title     string     `json:"title" doc:"In the words of every policy: a title of the policy's own, and how far a build is, are looked up when it is sent."`
	Events    int64      `json:"events" doc:"How many events it tells of."`
	Version   int32      `json:"version" doc:"The version that was last wanted: it grows when the same group is told with newer figures."`
	Attempts  int32      `json:"attempts" doc:"How often it was tried since it was last sent."`
	Error     string     `json:"error,omitempty" doc:"What the receiver, or the way to it, last refused it with."`
	CreatedAt time.Time  `json:"createdAt"`
	ChangedAt time.Time  `json:"changedAt" doc:"When it was last told, tried or asked for."`
	DueAt     *time.Time `json:"dueAt,omitempty" doc:"When it is sent; absent where it is not."`
	SentAt    *time.Time `json:"sentAt,omitempty" doc:"When the receiver last accepted it."`
}

// ChannelTest names the channel to test.
type ChannelTest struct {
	Channel string `json:"channel" minLength:"1" maxLength:"253" doc:"Name of a NotificationChannel in the namespace. It is not looked up: what is sent to a channel that does not exist waits for it."`
}

// NotificationQueued is a notification that is to be sent.
type NotificationQueued struct {
	ID int64 `json:"id" doc:"Ask for the notification of this id to learn what became of it."`
}

// NotificationPreviewRequest is a policy, and the build to try it on.
type NotificationPreviewRequest struct {
	Policy json.RawMessage              `json:"policy" doc:"spec of a NotificationPolicy."`
	Build  string                       `json:"build" minLength:"1" maxLength:"253" doc:"Name of a CiBuild in the namespace."`
	Labels map[string]map[string]string `json:"labels,omitempty" doc:"Labels of pipelines, by cdpipelines/NAME and cipipelines/NAME. A pipeline that is absent has none. Without any, the labels of policy.selector are left out of account."`
}

// NotificationPreview is what a policy would tell of a build.
type NotificationPreview struct {
	Messages []NotificationMessage `json:"messages" nullable:"false" doc:"One for each group, in the order in which the groups begin; at most 100."`
	Channels []string              `json:"channels" nullable:"false" doc:"Where each message would be sent."`
	Notes    []string              `json:"notes" nullable:"false" doc:"What the messages do not show, and why there is none."`
}

// NotificationMessage is a message as it would be sent.
type NotificationMessage struct {
	Group    string               `json:"group" doc:"What is told together."`
	Type     string               `json:"type" doc:"The last event."`
	Level    string               `json:"level" enum:"info,success,failure"`
	Title    string               `json:"title"`
	Details  []NotificationDetail `json:"details" nullable:"false"`
	Omitted  int                  `json:"omitted" doc:"How many details were left out."`
	Commands []string             `json:"commands" nullable:"false" doc:"Commands to learn more."`
	Events   int64                `json:"events" doc:"How many events it tells of."`
}

// NotificationDetail is what is told of one pipeline or cluster.
type NotificationDetail struct {
	Name string `json:"name"`
	Text string `json:"text"`
}
