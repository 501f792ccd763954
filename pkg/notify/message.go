// Package notify says what a notification is and how one is sent, whatever the receiver.
// A message is neutral: each sender renders it in the form and within the limits of its
// receivers. Sending decides nothing and keeps nothing.
package notify

import "time"

// Level is how a message is to be taken.
type Level string

// Levels.
const (
	Info    Level = "info"
	Success Level = "success"
	Failure Level = "failure"
)

// Message is what is told.
type Message struct {
	// ID is that of the delivery. A repeated delivery has the same, so that a receiver can
	// drop it.
	ID string `json:"id"`
	// Version grows each time that the same message is told with newer figures.
	Version int `json:"version"`
	// Type is what happened, such as RunFailed.
	Type  string `json:"type"`
	Level Level  `json:"level"`
	// Title is one line.
	Title string `json:"title"`
	// Details are what is told of single pipelines or clusters, the important ones first.
	Details []Detail `json:"details,omitempty"`
	// Omitted is how many details were left out.
	Omitted int `json:"omitted,omitempty"`
	// Commands can be typed to learn more.
	Commands []string `json:"commands,omitempty"`
	// URL is a page to look at. Optional.
	URL     string    `json:"url,omitempty"`
	Time    time.Time `json:"time"`
	Subject Subject   `json:"subject"`
}

// Detail is what is told of one object.
type Detail struct {
	Name string `json:"name"`
	Text string `json:"text"`
	URL  string `json:"url,omitempty"`
}

// Subject is whom a message is about, as far as it is known.
type Subject struct {
	Namespace   string `json:"namespace,omitempty"`
	Application string `json:"application,omitempty"`
	Environment string `json:"environment,omitempty"`
	Build       string `json:"build,omitempty"`
	Pipeline    string `json:"pipeline,omitempty"`
	Run         int64  `json:"run,omitempty"`
	// Repository is the URL that the revision was fetched from.
	Repository string `json:"repository,omitempty"`
	Revision   string `json:"revision,omitempty"`
	Image      string `json:"image,omitempty"`
	Digest     string `json:"digest,omitempty"`
	Cluster    string `json:"cluster,omitempty"`
	// Actor is who has asked by a RunRequest for what is told, and ActorReason why.
	Actor       string `json:"actor,omitempty"`
	ActorReason string `json:"actorReason,omitempty"`
}
