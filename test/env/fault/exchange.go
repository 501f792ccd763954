package fault

import "regexp"

// Exchange is what a client has asked of the server on one connection since no
// transaction was open there: one statement, or a transaction from begin to commit.
type Exchange struct {
	// Statements are what was executed, in order.
	Statements []string
}

// named is how sqlc marks a query.
var named = regexp.MustCompile(`(?m)^-- name: (\w+) :`)

// Name is that of the first query that has one, as sqlc gives it, such as
// ClaimTasks; empty where none has.
func (e Exchange) Name() string {
	for _, statement := range e.Statements {
		if match := named.FindStringSubmatch(statement); match != nil {
			return match[1]
		}
	}
	return ""
}

// committed is false for one that was rolled back, or that only prepared.
func (e Exchange) committed() bool {
	return len(e.Statements) > 0 && e.Statements[len(e.Statements)-1] != "rollback"
}

// Fate is what becomes of a reply.
type Fate int

const (
	// Deliver passes it on.
	Deliver Fate = iota
	// CutInstead ends the connection in its place.
	CutInstead
	// Swallow keeps it, so that the client waits until its patience ends.
	Swallow
)
