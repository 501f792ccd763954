package rest

import "time"

// EventList is a page of the history, the newest first.
type EventList struct {
	Page

	// Watch is where a watch goes on that is to miss nothing after this page.
	Watch string  `json:"watch" doc:"Cursor for ?watch=true&cursor=…: the stream begins behind the newest event that this list could show."`
	Items []Event `json:"items" nullable:"false"`
}

// Event is one transition or decision.
type Event struct {
	ID          int64     `json:"id"`
	At          time.Time `json:"at"`
	Kind        string    `json:"kind" enum:"Task,Decision,Run,Request,Turn,Build"`
	Namespace   string    `json:"namespace"`
	Build       string    `json:"build,omitempty"`
	Pipeline    string    `json:"pipeline,omitempty"`
	Run         int64     `json:"run,omitempty"`
	Task        int64     `json:"task,omitempty"`
	Stage       string    `json:"stage,omitempty"`
	State       string    `json:"state" doc:"The state that was reached, or the outcome of a decision."`
	Reason      string    `json:"reason,omitempty"`
	Message     string    `json:"message,omitempty"`
	Actor       string    `json:"actor,omitempty" doc:"Who asked for it, or for the run or stage that it is about; absent where Penstock did it by itself."`
	ActorReason string    `json:"actorReason,omitempty" doc:"Why they asked, in their own words."`
}
