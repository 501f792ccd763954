package limit_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// FuzzTurns lets callers come, leave and run out of time in any order: the tokens, one a second, go to whom the model says,
// and a caller is refused at once exactly when the model has no token for it in time.
func FuzzTurns(f *testing.F) {
	for _, seed := range []string{
		"aaaaaaaabb........", "aab.c.b..a...bc......", "ab1a1b9a9b2a2b.....", "-a-a-b--a.....", "aabb!a..!b.....", "3a.b2a.b1a.b....",
		strings.Repeat("a", 40) + strings.Repeat("b", 40) + "9-8----" + strings.Repeat(".", 90),
		strings.Repeat("aba.", 20) + "9a9b9c9-" + strings.Repeat(".!-", 30),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, script string) {
		synctest.Test(t, func(t *testing.T) { requireTurns(t, script[:min(len(script), 300)]) })
	})
}

// forever is how many seconds a caller waits at most that has no deadline of its own.
const forever = 1e6

// requireTurns plays a script: a letter is a caller of the lane a, b or c, and - one of background; a digit before it gives
// it so many times three seconds, less a half. A dot is a second that passes, ! has the caller that waits longest give up.
func requireTurns(t *testing.T, script string) {
	p := &play{trace: &trace{Bucket: limit.NewBucket(1, 1), t: t, begin: time.Now()}, model: model{token: true, last: -limit.Quiet.Seconds()}}
	within := forever
	for _, char := range script {
		switch {
		case char >= '1' && char <= '9':
			within = float64(3*(char-'0')) - 0.5
			continue
		case char >= 'a' && char <= 'c':
			p.come(string(char), within)
		case char == '-':
			p.come(background, within)
		case char == '!':
			p.giveUp()
		case char == '.':
			p.pass()
		}
		within = forever
		require.Equal(t, p.model.order, p.order(), "%s", script)
	}
	for len(p.model.waiting) > 0 {
		p.giveUp()
	}
}

// play has a bucket and its model do the same.
type play struct {
	*trace
	model model
	now   float64 // seconds since the beginning
}

// come has a caller wait for at most so many seconds.
func (p *play) come(view string, within float64) {
	ctx, leave := context.WithTimeout(p.t.Context(), time.Duration(within*float64(time.Second)))
	ended := make(chan error, 1)
	go func() {
		defer leave()
		err := p.view(view).Wait(ctx)
		if err == nil {
			p.record(view)
		}
		ended <- err
	}()
	synctest.Wait()
	refused := false
	select {
	case err := <-ended:
		refused = err != nil
	default:
	}
	c := &caller{view: view, came: p.now, deadline: p.now + within, leave: leave}
	require.Equal(p.t, p.model.come(c, within), refused, "a caller of %s is refused", view)
}

// pass lets a second pass: deadlines are in its middle and a token comes at its end.
func (p *play) pass() {
	time.Sleep(time.Second)
	synctest.Wait()
	p.now++
	for _, c := range slices.Clone(p.model.waiting) {
		if c.deadline < p.now {
			p.model.leave(c)
		}
	}
	p.model.now, p.model.token = p.now, true
	p.model.serve()
}

func (p *play) giveUp() {
	if len(p.model.waiting) == 0 {
		return
	}
	c := p.model.waiting[0]
	p.model.leave(c)
	c.leave()
	synctest.Wait()
}

// caller is a call of Wait.
type caller struct {
	view     string
	came     float64
	deadline float64
	leave    context.CancelFunc
}

// model is a bucket that holds one token. It keeps who waits in one row and the lanes that have had a turn least recently,
// and finds out when somebody has a token by serving a copy of itself.
type model struct {
	waiting []*caller // those who came first, first
	lanes   []string  // that have callers; the next first
	since   int       // tokens of triggers since the last of background
	token   bool
	order   []string // who had tokens
	// now, and when triggers began to be under way and were last, in seconds.
	now, began, last float64
}

// come adds a caller, unless its token would be too late.
func (m *model) come(c *caller, within float64) (refused bool) {
	m.waiting = append(m.waiting, c)
	if c.view != background {
		m.underWay()
	}
	if c.view != background && !slices.Contains(m.lanes, c.view) {
		m.lanes = append(m.lanes, c.view)
	}
	m.serve()
	refused = m.seconds(c) > within
	if refused {
		m.leave(c)
	}
	return refused
}

// seconds are how long it takes until c has its token if nobody comes or leaves. That background may have one before a
// trigger is not counted, and for background its share is taken to be half.
func (m *model) seconds(c *caller) (seconds float64) {
	if c.view == background {
		return m.secondsOfBackground(c)
	}
	future := &model{waiting: slices.Clone(m.waiting), lanes: slices.Clone(m.lanes), since: m.since}
	future.waiting = slices.DeleteFunc(future.waiting, func(c *caller) bool { return c.view == background })
	for ; slices.Contains(future.waiting, c); seconds++ {
		future.token = true
		future.serve()
	}
	return seconds
}

func (m *model) secondsOfBackground(c *caller) float64 {
	line := slices.DeleteFunc(slices.Clone(m.waiting), func(c *caller) bool { return c.view != background })
	place := slices.Index(line, c)
	before := place
	if m.since == 0 {
		before++
	}
	return float64(place + 1 + min(before, len(m.waiting)-len(line)))
}

// underWay takes note that triggers are under way.
func (m *model) underWay() {
	if m.busy() == 0 {
		m.began = m.now
	}
	m.last = m.now
}

func (m *model) busy() float64 {
	if m.now-m.last >= limit.Quiet.Seconds() {
		return 0
	}
	return m.now - m.began
}

// each is how many tokens triggers have for each one of background.
func (m *model) each() int {
	var late limit.Lateness
	if oldest := m.first(background); oldest != nil {
		late.Waited = time.Duration(m.now-oldest.came) * time.Second
	}
	return limit.TriggersEach(time.Duration(m.busy())*time.Second, late)
}

// serve gives the token, if there is one, to whom it is for.
func (m *model) serve() {
	if !m.token || len(m.waiting) == 0 {
		return
	}
	next := background
	if len(m.lanes) > 0 && (m.first(background) == nil || m.since < m.each()) {
		next = m.lanes[0]
		m.underWay()
		m.lanes = append(m.lanes[1:], next)
		m.since++
	} else {
		m.since = 0
	}
	m.order = append(m.order, next)
	m.token = false
	m.leave(m.first(next))
}

func (m *model) first(view string) *caller {
	i := slices.IndexFunc(m.waiting, func(c *caller) bool { return c.view == view })
	if i < 0 {
		return nil
	}
	return m.waiting[i]
}

func (m *model) leave(c *caller) {
	m.waiting = slices.DeleteFunc(m.waiting, func(other *caller) bool { return other == c })
	if m.first(c.view) == nil {
		m.lanes = slices.DeleteFunc(m.lanes, func(lane string) bool { return lane == c.view })
	}
}
