package api

import (
	"context"

	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// InNamespace is the namespace in a path.
type InNamespace struct {
	Namespace string `path:"namespace" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"a namespace name" doc:"Namespace of the objects."`
}

// Paging is which page of a list, and how much of it.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items in the answer."`
	Cursor string `query:"cursor" maxLength:"1024" doc:"Where the page begins: the next of the page before. It belongs to the path and filters that it came with."`
}

// Watching turns an answer into a stream of what happens.
type Watching struct {
	Watch       bool   `query:"watch" doc:"Answer with a stream of events (text/event-stream) that belong to what the path and filters select, from now on, or from cursor on."`
	LastEventID string `header:"Last-Event-ID" maxLength:"1024" doc:"Id of the last event that was received: the stream goes on behind it. It goes before cursor."`
}

func (w Watching) wantsStream() bool { return w.Watch }

// after is where the stream begins; nil means now.
func (w Watching) after(cursor string) (*view.Position, error) {
	if w.LastEventID != "" {
		cursor = w.LastEventID
	}
	if cursor == "" {
		return nil, nil
	}
	position := &view.Position{}
	return position, decodeCursor(cursor, position, streamQuery)
}

// verb is list, or watch for a stream.
func (w Watching) verb() string {
	if w.Watch {
		return "watch"
	}
	return "list"
}

// gate lets a user in, or not. Every input has to pass it before a row is read.
type gate struct {
	*Backend

	user identity.User
}

// require returns an error unless the user has all these rights.
func (g gate) require(ctx context.Context, needs ...rights.Need) error {
	return g.Rights.Require(ctx, g.user, needs...)
}

// scope returns in which namespaces the user has a right.
func (g gate) scope(ctx context.Context, verb, resource string, asked []string) (view.Scope, error) {
	return g.Rights.Scope(ctx, g.user, rights.Need{Verb: verb, Resource: resource}, asked, g.Namespaces.Names())
}

// input is what an endpoint is asked: its rights stand beside its parameters.
type input interface {
	allow(ctx context.Context, gate gate) error
}

// watcher is an input that can be answered with a stream.
type watcher interface {
	wantsStream() bool
	// start is where the stream begins; nil means now.
	start() (*view.Position, error)
	// sees returns which events the stream has.
	sees() stream.Filter
}

// preparer is a watcher that has to read something before sees is called.
type preparer interface {
	prepare(ctx context.Context, rows *view.View) error
}
