// Package batchget gets many objects of many clusters in one call, with an answer for each
// reference by its index. It reads the clusters, and writes nothing.
//
// A reference that is late or fails costs no other. Equal references are read once, also
// where several calls ask at a time; many in one namespace are read as one list where that
// is cheaper.
package batchget

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/flight"
)

// MaxReferences is the most references of one call.
const MaxReferences = 500

// ErrTooMany is the error of a call with more references.
var ErrTooMany = fmt.Errorf("more than %d references: ask in several calls", MaxReferences)

// Config is what a Getter needs. Each field but Clients has a default.
type Config struct {
	Clients fleet.Clients
	// InFlight is how many requests to one cluster are under way at once, over all calls.
	// Defaults to 5.
	InFlight int
	// Timeout bounds one request, once it has begun. Defaults to 5 s.
	Timeout time.Duration
	// Deadline is for how long a call waits. Defaults to 10 s.
	Deadline time.Duration
	// CoalesceFrom is how many references of one kind in one namespace are read as a list.
	// Defaults to 6; negative means never.
	CoalesceFrom int
	// MaxBytes bounds the objects of one answer together. Defaults to 32 MiB.
	MaxBytes int
}

// Reference names one object.
type Reference struct {
	Target    fleet.Target
	Kind      fleet.Kind
	Namespace string
	Name      string
}

// Error is why there is no object.
type Error struct {
	// Reason is NotFound, NotServed, TooLarge, or the class of a failure.
	Reason string `json:"reason"`
	// Message says what to do.
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Reason + ": " + e.Message }

// Reasons of an Error beside the classes of failures.
const (
	NotFound  = "NotFound"
	NotServed = "NotServed"
	TooLarge  = "TooLarge"
	Invalid   = "Invalid"
)

// Answer is the object of one reference, without managed fields, or why there is none.
type Answer struct {
	Object json.RawMessage `json:"object,omitempty"`
	Err    *Error          `json:"error,omitempty"`
}

// Getter gets objects. It is safe for concurrent use.
type Getter struct {
	config Config
	mu     sync.Mutex
	groups map[types.UID]*group
	closed bool
	large  largeLists
}

// group is the requests to one cluster.
type group = flight.Group[request, objects]

// New returns a getter.
func New(config Config) *Getter {
	config.InFlight = cmp.Or(config.InFlight, 5)
	config.Timeout = cmp.Or(config.Timeout, 5*time.Second)
	config.Deadline = cmp.Or(config.Deadline, 10*time.Second)
	config.CoalesceFrom = cmp.Or(config.CoalesceFrom, 6)
	config.MaxBytes = cmp.Or(config.MaxBytes, 32<<20)
	return &Getter{config: config, groups: map[types.UID]*group{}}
}

// Get returns an answer for each reference, in their order. The only error is ErrTooMany.
func (g *Getter) Get(ctx context.Context, references []Reference) ([]Answer, error) {
	if len(references) > MaxReferences {
		return nil, ErrTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, g.config.Deadline)
	defer cancel()
	c := newCall(references)
	g.run(ctx, c, c.requests(g.config.CoalesceFrom, &g.large))
	if ctx.Err() == nil {
		g.run(ctx, c, c.unanswered())
	}
	return c.answers(g.config.MaxBytes), nil
}

// run makes requests, those to all clusters at once, and takes their outcomes until ctx
// ends.
func (g *Getter) run(ctx context.Context, c *call, requests map[fleet.Target][]request) {
	var waiting sync.WaitGroup
	for target, list := range requests {
		wants := make([]flight.Want[request], len(list))
		for i, one := range list {
			wants[i] = flight.Want[request]{Slot: i, Key: one}
		}
		outcomes := g.group(target).Start(wants)
		waiting.Go(func() {
			for range wants {
				select {
				case outcome := <-outcomes:
					c.settle(target, list[outcome.Slot], outcome.Value, outcome.Err)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	waiting.Wait()
}

// maxIdleGroups is how many clusters are remembered that nothing is under way to.
const maxIdleGroups = 2000

func (g *Getter) group(target fleet.Target) *group {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.groups[target.UID]; known != nil {
		return known
	}
	if len(g.groups) >= maxIdleGroups {
		g.forgetIdle()
	}
	made := flight.New(flight.Config[request, objects]{
		Limit: g.config.InFlight, Timeout: g.config.Timeout, Run: g.read,
	})
	if g.closed {
		made.Close()
	}
	g.groups[target.UID] = made
	return made
}

// forgetIdle drops groups in which nothing is under way. Who has just got one of them goes
// on with it.
func (g *Getter) forgetIdle() {
	for uid, known := range g.groups {
		if known.IsIdle() {
			delete(g.groups, uid)
		}
	}
}

// Close ends what is being read, and returns when nothing is left.
func (g *Getter) Close() {
	g.mu.Lock()
	g.closed = true
	groups := g.groups
	g.groups = map[types.UID]*group{}
	g.mu.Unlock()
	for _, known := range groups {
		known.Close()
	}
}

// errorOf is what an answer tells of an error.
func errorOf(host string, err error) *Error {
	var failure *fleet.Failure
	switch {
	case errors.Is(err, fleet.ErrNotServed):
		return &Error{Reason: NotServed, Message: err.Error()}
	case errors.Is(err, fleet.ErrNoMember):
		return &Error{Reason: NotFound, Message: err.Error()}
	case errors.As(err, &failure), errors.Is(err, context.DeadlineExceeded):
		failure = fleet.Classify(host, err)
		return &Error{Reason: string(failure.Class), Message: failure.Message}
	}
	return &Error{Reason: string(fleet.NotReady), Message: err.Error()}
}
