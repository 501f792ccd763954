package rest

import "time"

// DeliveryList is what webhooks brought to one namespace, the newest first.
type DeliveryList struct {
	Page

	Items []Delivery `json:"items" nullable:"false"`
}

// Delivery is what a Receiver received, and what came of it.
type Delivery struct {
	ID           int64      `json:"id" doc:"Unique in the installation."`
	Receiver     string     `json:"receiver"`
	Type         string     `json:"type" doc:"Type of the Receiver."`
	Event        string     `json:"event,omitempty" doc:"As the sender spells it."`
	DeliveryID   string     `json:"deliveryID" doc:"The sender's own id, or the hash of the body where it gives none."`
	Repository   string     `json:"repository,omitempty" doc:"Deliveries of one repository are worked off in their order."`
	State        string     `json:"state" enum:"Received,Working,Done,Failed"`
	Outcome      string     `json:"outcome,omitempty" doc:"Built, Reported, CheckWanted, NoMatch, Ignored, Pinged, Malformed, Refused or Failed."`
	Message      string     `json:"message,omitempty" doc:"What came of it, or why it is tried again."`
	Attempts     int32      `json:"attempts"`
	Repeats      int32      `json:"repeats" doc:"How often it was received again, which changed nothing."`
	ReceivedAt   time.Time  `json:"receivedAt"`
	DueAt        *time.Time `json:"dueAt,omitempty" doc:"When it is worked off; absent where it was."`
	FinishedAt   *time.Time `json:"finishedAt,omitempty"`
	RedeliveryOf int64      `json:"redeliveryOf,omitempty" doc:"The delivery that somebody had worked off again."`
}

// DeliveryDetail is a delivery as it came.
type DeliveryDetail struct {
	Delivery

	Headers map[string]string `json:"headers" doc:"Those that say what it is. None that verifies it is kept."`
	Body    string            `json:"body" doc:"As it came; what is no text of UTF-8 is replaced."`
}

// Redelivery is a delivery that is worked off again.
type Redelivery struct {
	ID int64 `json:"id" doc:"Ask for the delivery of this id to learn what came of it."`
}
