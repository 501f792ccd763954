package trigger_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

const (
	queue   = v1alpha1.ConcurrencyQueue
	latest  = v1alpha1.ConcurrencyLatest
	replace = v1alpha1.ConcurrencyReplace
	allow   = v1alpha1.ConcurrencyAllow
)

var policies = []v1alpha1.ConcurrencyPolicy{queue, latest, replace, allow}

// place is that of a build called b1, b2 and so on, which were created in the order of
// their numbers; b2.7 was created with b2, and seen as the seventh. The empty name is
// before all others.
func place(name string) trigger.Place {
	number, seq, _ := strings.Cut(strings.TrimPrefix(name, "b"), ".")
	if number == "" {
		return trigger.Place{}
	}
	at, err := strconv.Atoi(number)
	if err != nil {
		panic(err)
	}
	later, _ := strconv.ParseInt(seq, 10, 64) // none is 0
	return trigger.Place{CreatedAt: time.Unix(int64(at)*60, 0), Seq: later}
}

// turnOf reads a turn as "b1 Waiting" or "b1 Waiting asked".
func turnOf(text string) trigger.Turn {
	words := strings.Fields(text)
	return trigger.Turn{
		Build: words[0], Place: place(words[0]), State: trigger.TurnState(words[1]), Asked: slices.Contains(words, "asked"),
	}
}

// moved is what becomes of turns, as lines such as "b1 Take" and "b2 Supersede for b3".
// What stays is left out.
func moved(turns []trigger.Turn, moves []trigger.Move) []string {
	lines := []string{}
	for i, move := range moves {
		switch {
		case move.Kind == trigger.MoveStay:
		case move.For == "":
			lines = append(lines, fmt.Sprintf("%s %s", turns[i].Build, move.Kind))
		default:
			lines = append(lines, fmt.Sprintf("%s %s for %s", turns[i].Build, move.Kind, move.For))
		}
	}
	return lines
}

func turnsOf(texts []string) []trigger.Turn {
	turns := make([]trigger.Turn, len(texts))
	for i, text := range texts {
		turns[i] = turnOf(text)
	}
	return turns
}

// by is what each policy makes of the same turns.
type by map[v1alpha1.ConcurrencyPolicy][]string

// each is the same under all policies.
func each(moves ...string) by { return by{queue: moves, latest: moves, replace: moves, allow: moves} }

// ordered is the same under all policies but Allow.
func ordered(unordered []string, moves ...string) by {
	return by{queue: moves, latest: moves, replace: moves, allow: unordered}
}

func TestWhoseTurnItIs(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		newest string
		turns  []string
		want   by
	}{
		"of no turns none is moved": {"", nil, each()},

		// Nothing is active.
		"one that waits takes its turn, where none has had one": {"", []string{"b1 Waiting"}, each("b1 Take")},
		"one that waits takes its turn after an older one":      {"b1", []string{"b2 Waiting"}, each("b2 Take")},
		"the oldest that waits takes its turn": {
			"", []string{"b1 Waiting", "b2 Waiting", "b3 Waiting"}, by{
				queue:   {"b1 Take"},
				latest:  {"b1 Supersede for b3", "b2 Supersede for b3", "b3 Take"},
				replace: {"b1 Supersede for b3", "b2 Supersede for b3", "b3 Take"},
				allow:   {"b1 Take", "b2 Take", "b3 Take"},
			},
		},
		"it makes no difference in which order they are listed": {
			"", []string{"b3 Waiting", "b1 Waiting", "b2 Waiting"}, by{
				queue:   {"b1 Take"},
				latest:  {"b3 Take", "b1 Supersede for b3", "b2 Supersede for b3"},
				replace: {"b3 Take", "b1 Supersede for b3", "b2 Supersede for b3"},
				allow:   {"b3 Take", "b1 Take", "b2 Take"},
			},
		},
		"a late build is superseded by one that has had its turn, which nobody names": {
			"b2", []string{"b1 Waiting"}, ordered([]string{"b1 Take"}, "b1 Supersede"),
		},
		"a late build is superseded, and the next takes its turn": {
			"b2", []string{"b1 Waiting", "b3 Waiting"}, ordered([]string{"b1 Take", "b3 Take"}, "b1 Supersede", "b3 Take"),
		},
		"the build that had its turn last may have another": {"b2", []string{"b2 Waiting"}, each("b2 Take")},

		// One is active.
		"one that waits waits on while another is active": {
			"b1", []string{"b1 Active", "b2 Waiting"}, by{
				queue: {}, latest: {}, replace: {"b1 Stop for b2"}, allow: {"b2 Take"},
			},
		},
		"of several that wait Latest keeps the newest, and Replace makes room for it": {
			"b1", []string{"b1 Active", "b2 Waiting", "b3 Waiting"}, by{
				queue:   {},
				latest:  {"b2 Supersede for b3"},
				replace: {"b1 Stop for b3", "b2 Supersede for b3"},
				allow:   {"b2 Take", "b3 Take"},
			},
		},
		"one that is active goes on while none waits": {"b1", []string{"b1 Active"}, each()},
		"a late build is superseded while a newer one is active, which goes on": {
			"b2", []string{"b2 Active", "b1 Waiting"}, ordered([]string{"b1 Take"}, "b1 Supersede"),
		},
		"an active one that is older than the newest goes on: its turn was never in question": {
			"b2", []string{"b1 Active"}, each(),
		},
		"several are active after a change of policy from Allow, and all must end first": {
			"b3", []string{"b1 Active", "b3 Active", "b4 Waiting"}, by{
				queue: {}, latest: {}, replace: {"b1 Stop for b4", "b3 Stop for b4"}, allow: {"b4 Take"},
			},
		},

		// One has yielded: it waits for something else than its turn.
		"one that has yielded is left alone while none waits": {"b1", []string{"b1 Yielded"}, each()},
		"one that has yielded is overtaken by a newer one": {
			"b1", []string{"b1 Yielded", "b2 Waiting"}, ordered([]string{"b2 Take"}, "b1 Supersede for b2", "b2 Take"),
		},
		"an older one does not overtake one that has yielded after its turn": {
			"b2", []string{"b2 Yielded", "b1 Waiting"}, ordered([]string{"b1 Take"}, "b1 Supersede"),
		},
		"an older one goes before one that never had its turn": {
			"", []string{"b2 Yielded", "b1 Waiting"}, each("b1 Take"),
		},
		"one that has yielded stays while a newer one waits for another that is active": {
			"b2", []string{"b2 Yielded", "b3 Waiting", "b2.1 Active"}, by{
				queue: {}, latest: {}, replace: {"b2.1 Stop for b3"}, allow: {"b3 Take"},
			},
		},
		"one that has yielded is superseded once the newest has had its turn": {
			"b2", []string{"b1 Yielded", "b2 Active"}, ordered([]string{}, "b1 Supersede"),
		},
		"Latest does not supersede one that has yielded for one that only waits": {
			"b2", []string{"b2.1 Active", "b3 Yielded", "b4 Waiting"}, by{
				queue: {}, latest: {}, replace: {"b2.1 Stop for b4"}, allow: {"b4 Take"},
			},
		},
		"two that have yielded are overtaken together": {
			"b1", []string{"b1 Yielded", "b2 Yielded", "b3 Waiting"},
			ordered([]string{"b3 Take"}, "b1 Supersede for b3", "b2 Supersede for b3", "b3 Take"),
		},

		// A person has asked for exactly this build.
		"one that is asked for takes its turn though it is older": {"b2", []string{"b1 Waiting asked"}, each("b1 Take")},
		"one that is asked for waits its turn all the same": {
			"b2", []string{"b2 Active", "b1 Waiting asked"}, by{
				queue: {}, latest: {}, replace: {"b2 Stop for b1"}, allow: {"b1 Take"},
			},
		},
		"one that is asked for and has yielded is overtaken by none": {
			"b2", []string{"b1 Yielded asked", "b3 Waiting"}, each("b3 Take"),
		},
		"one that is asked for goes first, as the oldest, and Latest does not supersede it": {
			"b2", []string{"b1 Waiting asked", "b3 Waiting"}, ordered([]string{"b1 Take", "b3 Take"}, "b1 Take"),
		},
		"one that is asked for and is the newest supersedes what waits with Latest": {
			"", []string{"b1 Waiting", "b2 Waiting asked"}, by{
				queue:   {"b1 Take"},
				latest:  {"b1 Supersede for b2", "b2 Take"},
				replace: {"b1 Supersede for b2", "b2 Take"},
				allow:   {"b1 Take", "b2 Take"},
			},
		},
		"one that is asked for overtakes what has yielded, if it is newer": {
			"b2", []string{"b2 Yielded", "b3 Waiting asked"}, ordered([]string{"b3 Take"}, "b2 Supersede for b3", "b3 Take"),
		},
		"one that is asked for does not overtake what is newer and has yielded": {
			"b2", []string{"b2 Yielded", "b1 Waiting asked"}, each("b1 Take"),
		},
		"two that are asked for go one after the other": {
			"b3", []string{"b2 Waiting asked", "b1 Waiting asked"}, ordered([]string{"b2 Take", "b1 Take"}, "b1 Take"),
		},

		// Builds that were created in the same second.
		"of equal creation the one that was seen first goes first": {
			"", []string{"b1.2 Waiting", "b1.1 Waiting"}, by{
				queue:   {"b1.1 Take"},
				latest:  {"b1.2 Take", "b1.1 Supersede for b1.2"},
				replace: {"b1.2 Take", "b1.1 Supersede for b1.2"},
				allow:   {"b1.2 Take", "b1.1 Take"},
			},
		},
		"of equal creation the one that was seen first is late after the other": {
			"b1.2", []string{"b1.1 Waiting"}, ordered([]string{"b1.1 Take"}, "b1.1 Supersede"),
		},
		"of equal creation the one that was seen later may follow": {"b1.1", []string{"b1.2 Waiting"}, each("b1.2 Take")},
		"creation counts more than who was seen first":             {"b1.9", []string{"b2.1 Waiting"}, each("b2.1 Take")},
		"two turns of one build do not supersede each other": {
			"b1", []string{"b1 Waiting", "b1 Waiting asked"}, ordered([]string{"b1 Take", "b1 Take"}, "b1 Take"),
		},
		"one turn of a build waits for the other": {
			"b1", []string{"b1 Active", "b1 Waiting"}, by{queue: {}, latest: {}, replace: {"b1 Stop for b1"}, allow: {"b1 Take"}},
		},
	} {
		for _, policy := range policies {
			t.Run(sentence+"/"+string(policy), func(t *testing.T) {
				t.Parallel()
				turns := turnsOf(tc.turns)
				before := slices.Clone(turns)
				moves := trigger.Order(policy, place(tc.newest), turns)
				require.Len(t, moves, len(turns))
				require.ElementsMatch(t, tc.want[policy], moved(turns, moves))
				require.Equal(t, before, turns, "the turns that were given have changed")
				requireOrder(t, policy, place(tc.newest), turns)
			})
		}
	}
}

func TestNoPolicyIsQueue(t *testing.T) {
	t.Parallel()
	turns := turnsOf([]string{"b1 Active", "b2 Waiting", "b3 Waiting"})
	require.Equal(t, trigger.Order(queue, place("b1"), turns), trigger.Order("", place("b1"), turns))
	require.Empty(t, moved(turns, trigger.Order("", place("b1"), turns)))
}

func TestPlacesAreOrderedByCreationThenBySight(t *testing.T) {
	t.Parallel()
	ascending := []trigger.Place{{}, {Seq: 1}, place("b1"), place("b1.1"), place("b1.2"), place("b2"), place("b2.1"), place("b10")}
	for i, p := range ascending {
		for j, q := range ascending {
			switch {
			case i < j:
				require.Equal(t, -1, p.Compare(q), "%v %v", p, q)
			case i == j:
				require.Zero(t, p.Compare(q), "%v %v", p, q)
			default:
				require.Equal(t, 1, p.Compare(q), "%v %v", p, q)
			}
		}
	}
}

func TestTheStateOfATurnAfterSomethingOfItHasChanged(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		open, active, wants bool
		want                trigger.TurnState
	}{
		"a turn of which no run goes on has ended":                     {false, false, false, trigger.TurnEnded},
		"a turn has ended, whatever its runs left behind":              {false, true, true, trigger.TurnEnded},
		"a turn of which anything is under way is active":              {true, true, false, trigger.TurnActive},
		"a turn is active while one run is, though another wants it":   {true, true, true, trigger.TurnActive},
		"a turn of which a run is held for the turn alone waits":       {true, false, true, trigger.TurnWaiting},
		"a turn whose runs all wait for something else has yielded it": {true, false, false, trigger.TurnYielded},
	} {
		require.Equal(t, tc.want, trigger.AfterWork(tc.open, tc.active, tc.wants), sentence)
	}
}

// requireOrder checks what holds of every decision about turns.
func requireOrder(t *testing.T, policy v1alpha1.ConcurrencyPolicy, newest trigger.Place, turns []trigger.Turn) {
	t.Helper()
	moves := trigger.Order(policy, newest, turns)
	require.Len(t, moves, len(turns))
	require.Equal(t, moves, trigger.Order(policy, newest, turns), "not deterministic")
	about := fmt.Sprintf("%q, newest %v, turns %v, moves %v", policy, newest, turns, moves)
	isOrdered := policy != allow
	active, taken, waiting := 0, 0, 0
	for i, turn := range turns {
		requireMove(t, policy, newest, turn, moves[i], about)
		switch {
		case turn.State == trigger.TurnActive:
			active++
		case moves[i].Kind == trigger.MoveTake:
			taken++
		case turn.State == trigger.TurnWaiting && moves[i].Kind == trigger.MoveStay:
			waiting++
		}
	}
	if !isOrdered {
		require.Zero(t, waiting, "one waits though nothing is ordered: %s", about)
		return
	}
	if active > 0 {
		require.Zero(t, taken, "one starts beside another: %s", about)
	}
	require.LessOrEqual(t, taken, 1, "two start together: %s", about)
	if waiting > 0 {
		require.Equal(t, 1, min(active, 1)+taken, "one waits for nobody: %s", about)
	}
}

// requireMove checks what holds of the move of each turn.
func requireMove(t *testing.T, policy v1alpha1.ConcurrencyPolicy, newest trigger.Place, turn trigger.Turn, move trigger.Move, about string) {
	t.Helper()
	late := !turn.Asked && turn.Place.Compare(newest) < 0
	switch move.Kind {
	case trigger.MoveStay:
		require.Empty(t, move.For, about)
		if policy != allow && late {
			require.Equal(t, trigger.TurnActive, turn.State, "a late one stays: %s", about)
		}
	case trigger.MoveTake:
		require.Equal(t, trigger.TurnWaiting, turn.State, "one starts that does not wait: %s", about)
		require.True(t, policy == allow || !late, "an older one starts after a newer one: %s", about)
	case trigger.MoveSupersede:
		require.NotEqual(t, trigger.TurnActive, turn.State, "one is superseded that is active: %s", about)
		require.False(t, turn.Asked, "one is superseded that a person asked for: %s", about)
		require.NotEqual(t, allow, policy, about)
		require.NotEqual(t, turn.Build, move.For, "one is superseded by itself: %s", about)
	case trigger.MoveStop:
		require.Equal(t, trigger.TurnActive, turn.State, "one is stopped that is not active: %s", about)
		require.Equal(t, replace, policy, about)
		require.NotEmpty(t, move.For, about)
	default:
		t.Fatalf("move %q: %s", move.Kind, about)
	}
}

// FuzzOrder decides on any turns: the first byte is the policy, the second the newest
// place, and each further one a turn.
func FuzzOrder(f *testing.F) {
	for policy := range byte(len(policies)) {
		f.Add([]byte{policy, 0})
		f.Add([]byte{policy, 3, 0x05, 0x11, 0x22, 0x85})
		f.Add([]byte{policy, 9, 0x0f, 0x1f, 0x2f, 0x8f, 0x9f, 0xaf})
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) < 2 || len(bytes) > 64 {
			return
		}
		turns := make([]trigger.Turn, 0, len(bytes)-2)
		for i, b := range bytes[2:] {
			at := placeAt(b & 0x0f)
			turns = append(turns, trigger.Turn{
				Build: fmt.Sprintf("b%d", i), Place: at, Asked: b&0x80 != 0,
				State: []trigger.TurnState{trigger.TurnWaiting, trigger.TurnActive, trigger.TurnYielded}[b>>4&0x07%3],
			})
		}
		requireOrder(t, policies[int(bytes[0])%len(policies)], placeAt(bytes[1]&0x0f), turns)
	})
}

// placeAt is one of 16 places, of which some are equal and some differ in Seq alone.
func placeAt(n byte) trigger.Place {
	if n == 0 {
		return trigger.Place{}
	}
	return trigger.Place{CreatedAt: time.Unix(int64(n/3), 0), Seq: int64(n % 3)}
}

// orderSeed repeats a run of TestOrderNeverLetsAnOlderBuildReplaceANewerOne:
//
//	ORDER_SEED=7 go test ./pkg/trigger -run Older -v
const orderSeed = "ORDER_SEED"

// Builds come, work, yield, come back and end as they like: whatever the policy, each is
// taken or superseded in the end, and none is taken after a newer one.
func TestOrderNeverLetsAnOlderBuildReplaceANewerOne(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if text, ok := os.LookupEnv(orderSeed); ok {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, orderSeed)
	}
	t.Logf("%s=%d repeats this run", orderSeed, seed)
	for _, policy := range policies {
		random := rand.New(rand.NewPCG(seed, 0))
		for range 300 {
			p := &pipeline{t: t, policy: policy, random: random, story: map[string]string{}}
			for range 60 {
				p.step()
			}
			p.finish()
		}
	}
}

// pipeline is the turns in one pipeline, as store keeps them.
type pipeline struct {
	t      *testing.T
	policy v1alpha1.ConcurrencyPolicy
	random *rand.Rand
	newest trigger.Place
	turns  []trigger.Turn
	seen   int64
	// story is what became of each build last.
	story map[string]string
}

// step has something happen, and decides.
func (p *pipeline) step() {
	switch {
	case len(p.turns) < 8 && p.random.IntN(3) == 0:
		p.add()
	case len(p.turns) > 0:
		p.work(p.random.IntN(len(p.turns)))
	}
	p.decide()
}

// add has a build come, often later than newer ones.
func (p *pipeline) add() {
	p.seen++
	turn := trigger.Turn{
		Build: fmt.Sprintf("b%d", p.seen), Asked: p.random.IntN(8) == 0, State: trigger.TurnWaiting,
		Place: trigger.Place{CreatedAt: time.Unix(p.seen/2-p.random.Int64N(4), 0), Seq: p.seen},
	}
	if p.random.IntN(4) == 0 {
		turn.State = trigger.TurnYielded // its first stage waits for a person
	}
	p.turns, p.story[turn.Build] = append(p.turns, turn), "came"
}

// work moves a build on.
func (p *pipeline) work(i int) {
	turn := &p.turns[i]
	switch {
	case turn.State == trigger.TurnYielded && p.random.IntN(2) == 0:
		turn.State = trigger.TurnWaiting // a person has resumed it
	case turn.State == trigger.TurnActive && p.random.IntN(2) == 0:
		turn.State = trigger.TurnYielded
	case turn.State == trigger.TurnActive:
		p.story[turn.Build] = "ended"
		p.turns = slices.Delete(p.turns, i, i+1)
	}
}

func (p *pipeline) decide() {
	p.t.Helper()
	requireOrder(p.t, p.policy, p.newest, p.turns)
	moves := trigger.Order(p.policy, p.newest, p.turns)
	kept := p.turns[:0]
	for i, turn := range p.turns {
		switch moves[i].Kind {
		case trigger.MoveTake:
			turn.State, p.story[turn.Build] = trigger.TurnActive, "taken"
			if turn.Place.Compare(p.newest) > 0 {
				p.newest = turn.Place
			}
		case trigger.MoveSupersede:
			p.story[turn.Build] = "superseded"
			continue
		case trigger.MoveStop:
			p.story[turn.Build] = "ended"
			continue
		case trigger.MoveStay:
		}
		kept = append(kept, turn)
	}
	p.turns = kept
}

// finish lets all that there is end: nothing is left over.
func (p *pipeline) finish() {
	p.t.Helper()
	for range 10 * len(p.turns) {
		for i := range p.turns {
			if p.turns[i].State == trigger.TurnYielded {
				p.turns[i].State = trigger.TurnWaiting
			}
		}
		p.decide()
		if i := slices.IndexFunc(p.turns, func(turn trigger.Turn) bool { return turn.State == trigger.TurnActive }); i >= 0 {
			p.story[p.turns[i].Build] = "ended"
			p.turns = slices.Delete(p.turns, i, i+1)
		}
	}
	require.Empty(p.t, p.turns, "builds that nobody lets go on")
	for build, what := range p.story {
		require.Contains(p.t, []string{"ended", "superseded"}, what, build)
		if p.policy == allow {
			require.Equal(p.t, "ended", what, build)
		}
	}
}
