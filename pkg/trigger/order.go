package trigger

import (
	"cmp"
	"slices"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// Place is where a build stands in the order of builds: by its creation, then by when
// Penstock saw it first. The zero Place is before all others.
type Place struct {
	CreatedAt time.Time
	Seq       int64
}

// Compare returns -1, 0 or +1 as p is before, at or after q.
func (p Place) Compare(q Place) int {
	return cmp.Or(p.CreatedAt.Compare(q.CreatedAt), cmp.Compare(p.Seq, q.Seq))
}

// TurnState is where a build's turn in a pipeline stands.
type TurnState string

// The states of a turn.
const (
	// TurnWaiting: its runs are ready to start, and another build has the turn.
	TurnWaiting TurnState = "Waiting"
	// TurnActive: its runs go on.
	TurnActive TurnState = "Active"
	// TurnYielded: all that is left of its runs waits for something else than the turn,
	// such as a person.
	TurnYielded TurnState = "Yielded"
	// TurnEnded: every run of it has ended.
	TurnEnded TurnState = "Ended"
	// TurnSuperseded: a newer build went first, and it never will.
	TurnSuperseded TurnState = "Superseded"
)

// Turn is one build's turn in one pipeline.
type Turn struct {
	Build string
	Place Place
	State TurnState
	// Asked true means that a person asked for exactly this build: it may be older than
	// one that had its turn.
	Asked bool
}

// MoveKind is what becomes of a turn.
type MoveKind string

// The moves.
const (
	// MoveStay leaves the turn as it is.
	MoveStay MoveKind = ""
	// MoveTake lets its runs start.
	MoveTake MoveKind = "Take"
	// MoveSupersede ends it before it starts.
	MoveSupersede MoveKind = "Supersede"
	// MoveStop stops what is active of it.
	MoveStop MoveKind = "Stop"
)

// Move is what becomes of one turn, and which build is the cause, by name; empty where
// it is one that had its turn before.
type Move struct {
	Kind MoveKind
	For  string
}

// Order decides whose turn it is in one pipeline, from its turns that have not ended and
// the place of the newest build that ever had its turn. It returns one move for each
// turn. It is what keeps an older build from replacing a newer one (I8):
//
//   - a turn that is older than the newest that was taken is superseded;
//   - with Latest and Replace a turn that waits is superseded by a newer one that waits;
//   - with Replace an active turn is stopped for one that waits;
//   - where no turn is active, the oldest that waits is taken, and older ones that have
//     yielded are superseded.
func Order(policy v1alpha1.ConcurrencyPolicy, newest Place, turns []Turn) []Move {
	moves := make([]Move, len(turns))
	if policy == v1alpha1.ConcurrencyAllow {
		for i, turn := range turns {
			if turn.State == TurnWaiting {
				moves[i].Kind = MoveTake
			}
		}
		return moves
	}
	o := ordering{turns: turns, moves: moves}
	o.supersedeOlder(newest, "")
	latestOnly := policy == v1alpha1.ConcurrencyLatest || policy == v1alpha1.ConcurrencyReplace
	if latestOnly {
		o.keepNewestWaiting()
	}
	next := o.first()
	active := slices.IndexFunc(turns, func(turn Turn) bool { return turn.State == TurnActive })
	switch {
	case next < 0:
	case active < 0:
		moves[next].Kind = MoveTake
		o.supersedeOlder(turns[next].Place, turns[next].Build)
	case policy == v1alpha1.ConcurrencyReplace:
		o.stopActive(turns[next].Build)
	}
	return moves
}

// ordering is one call of Order under way.
type ordering struct {
	turns []Turn
	moves []Move
}

// supersedeOlder ends what has not started of builds before a place.
func (o ordering) supersedeOlder(place Place, by string) {
	for i, turn := range o.turns {
		idle := turn.State == TurnWaiting || turn.State == TurnYielded
		if idle && !turn.Asked && o.moves[i].Kind == MoveStay && turn.Place.Compare(place) < 0 {
			o.moves[i] = Move{Kind: MoveSupersede, For: by}
		}
	}
}

// keepNewestWaiting ends what waits but for the newest build.
func (o ordering) keepNewestWaiting() {
	newest := -1
	for i := range o.turns {
		if o.waits(i) && (newest < 0 || o.turns[i].Place.Compare(o.turns[newest].Place) > 0) {
			newest = i
		}
	}
	for i, turn := range o.turns {
		if o.waits(i) && !turn.Asked && turn.Place.Compare(o.turns[newest].Place) < 0 {
			o.moves[i] = Move{Kind: MoveSupersede, For: o.turns[newest].Build}
		}
	}
}

// first returns the oldest turn that waits, or -1.
func (o ordering) first() int {
	first := -1
	for i := range o.turns {
		if o.waits(i) && (first < 0 || o.turns[i].Place.Compare(o.turns[first].Place) < 0) {
			first = i
		}
	}
	return first
}

func (o ordering) waits(i int) bool {
	return o.turns[i].State == TurnWaiting && o.moves[i].Kind == MoveStay
}

func (o ordering) stopActive(by string) {
	for i, turn := range o.turns {
		if turn.State == TurnActive {
			o.moves[i] = Move{Kind: MoveStop, For: by}
		}
	}
}

// AfterWork returns the state of a turn once something of it has changed: open tells
// whether a run of it has not ended, active whether anything of it is under way, and
// wants whether anything of it is held for its turn alone.
func AfterWork(open, active, wants bool) TurnState {
	switch {
	case !open:
		return TurnEnded
	case active:
		return TurnActive
	case wants:
		return TurnWaiting
	default:
		return TurnYielded
	}
}

// Retakes tells whether a build whose turn is over takes it once more, since its Workflow
// was retried in Argo: nobody has a turn now, and no newer build has had one since. newest
// is the place of the newest build that ever had its turn; others are the turns in the
// pipeline that have not ended, but for the build's own.
func Retakes(policy v1alpha1.ConcurrencyPolicy, newest Place, own Turn, others []Turn) bool {
	if policy == v1alpha1.ConcurrencyAllow {
		return true
	}
	if !own.Asked && own.Place.Compare(newest) < 0 {
		return false
	}
	return !slices.ContainsFunc(others, func(turn Turn) bool { return turn.State == TurnActive })
}

// OvertakenBy says that a newer build went first, which is named where it is known.
func OvertakenBy(build string) string {
	newer := "a newer build"
	if build != "" {
		newer = "the newer build " + build
	}
	return newer + " went first in this pipeline: to deploy this one all the same, create a RunRequest with action Trigger and allowOlder"
}
