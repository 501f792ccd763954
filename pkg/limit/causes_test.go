package limit

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	quota  = Cause{Reason: "QuotaExceeded", Frees: true}
	rights = Cause{Reason: "Forbidden"}
	policy = Cause{Reason: "PolicyDenied", OfObject: true}
)

// cluster is an API server that has room for Workflows in one namespace, and a dispatcher that obeys Causes: what it is not
// kept from it tries, up to a few at once.
type cluster struct {
	t       *testing.T
	causes  *Causes
	cause   Cause
	room    int
	waiting int
	created int
	refused []time.Time
}

func newCluster(t *testing.T, cause Cause, room, waiting int) *cluster {
	t.Helper()
	c := &cluster{t: t, causes: NewCauses(), cause: cause, room: room, waiting: waiting}
	c.causes.jitter = func(pause time.Duration) time.Duration { return pause }
	return c
}

// create is the answer of the API server to one attempt.
func (c *cluster) create(probe bool) {
	if c.room == 0 {
		c.refused = append(c.refused, time.Now())
		c.causes.Refused("shop", c.cause, "no room", probe, time.Now())
		return
	}
	c.room--
	c.waiting--
	c.created++
	c.causes.Passed("shop", probe, time.Now())
}

// run tries what may be tried for so long, and calls each every 10 ms.
func (c *cluster) run(long time.Duration, each func()) {
	c.t.Helper()
	for until := time.Now().Add(long); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		each()
		if _, open := c.causes.Admits("shop", false); open {
			for range min(5, c.waiting) {
				c.create(false)
			}
			continue
		}
		for _, probe := range c.causes.Due(time.Now()) {
			tasks := min(probe.Tasks, c.waiting)
			if tasks == 0 {
				c.causes.Empty(probe.Namespace, time.Now())
				continue
			}
			c.causes.Begin(probe.Namespace, tasks)
			for range tasks {
				if _, admitted := c.causes.Admits(probe.Namespace, true); !admitted {
					c.causes.Unproven(probe.Namespace, time.Now())
					continue
				}
				c.create(true)
			}
		}
	}
}

func nothing() {}

func TestANamespaceThatIsShutIsProbedEverMoreRarely(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		cause Cause
		most  time.Duration
		first int // refused before it is shut
	}{
		"a quota that nothing frees":     {quota, probeMost, 5},
		"a right that is missing":        {rights, probeMost, 5},
		"a policy that denies every one": {policy, probeMostOfObject, 5},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, tc.cause, 0, 50)
				c.run(5*time.Minute, nothing)
				require.Zero(t, c.created)
				probes := c.refused[tc.first:]
				pause, last := probeFirst, c.refused[tc.first-1]
				for _, at := range probes {
					require.InDelta(t, pause, at.Sub(last), float64(20*time.Millisecond))
					pause, last = min(2*pause, tc.most), at
				}
				require.Greater(t, len(probes), 10)
				delay, shut := c.causes.Of("shop")
				require.True(t, shut)
				require.Equal(t, len(c.refused), delay.Attempts)
				require.Equal(t, tc.cause.Reason, delay.Reason)
				require.Equal(t, "no room", delay.Message)
				require.Equal(t, last.Add(tc.most), delay.Next)
			})
		})
	}
}

func TestRoomThatComesBackIsUsedAtOnceAndCostsFewRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const slots, children, lasts = 5, 50, 10 * time.Second
		c := newCluster(t, quota, slots, children)
		var ends []time.Time
		created := 0
		began := time.Now()
		c.run(3*time.Minute, func() {
			for ; created < c.created; created++ {
				ends = append(ends, time.Now().Add(lasts))
			}
			for len(ends) > 0 && time.Now().After(ends[0]) {
				ends = ends[1:]
				c.room++
				c.causes.Freed("shop", time.Now())
			}
			if c.created == children && len(ends) == 0 && !began.IsZero() {
				t.Logf("took %s, %d refused", time.Since(began), len(c.refused))
				require.Less(t, time.Since(began), 113*time.Second, "100 s is ideal")
				began = time.Time{}
			}
		})
		require.Equal(t, children, c.created)
		require.Less(t, len(c.refused), children/2)
	})
}

func TestAProbeThatComesBeforeTheRoomIsCountedIsRepeatedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, quota, 0, 50)
		c.run(2*time.Minute, nothing)
		freed, before := time.Now(), len(c.refused)
		c.causes.Freed("shop", freed)
		c.run(10*time.Second, func() {
			if c.created == 0 && time.Since(freed) > time.Second {
				c.room = 1
			}
		})
		require.Equal(t, 1, c.created)
		require.Equal(t, freed.Add(settle), c.refused[before], "the first comes at once")
		require.LessOrEqual(t, len(c.refused)-before, 4, "each waits longer")
	})
}

func TestANamespaceOpensStepByStep(t *testing.T) {
	t.Parallel()
	for sentence, cause := range map[string]Cause{"a right was granted": rights, "a quota was raised": quota} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, cause, 0, 1000)
				c.run(time.Minute, nothing)
				c.room = 20
				before := len(c.refused)
				c.run(probeMost, nothing)
				require.Equal(t, 20, c.created)
				require.Len(t, c.refused, before+1, "the first that is refused ends the round")
				c.room = 1000
				c.run(probeMost, nothing)
				require.Equal(t, 1000, c.created)
				_, shut := c.causes.Of("shop")
				require.False(t, shut)
			})
		})
	}
}

func TestOneObjectThatIsDeniedShutsNothing(t *testing.T) {
	t.Parallel()
	c := NewCauses()
	now := time.Unix(0, 0)
	for range 10 {
		for range strikes - 1 {
			_, shut := c.Refused("shop", policy, "denied", false, now)
			require.False(t, shut)
		}
		c.Passed("shop", false, now)
	}
	for i := range strikes {
		delay, shut := c.Refused("shop", policy, "denied", false, now)
		require.Equal(t, i == strikes-1, shut)
		if shut {
			require.Equal(t, strikes, delay.Attempts)
		}
	}
}

func TestAfterAStartOneTaskIsTriedBeforeTheOthers(t *testing.T) {
	t.Parallel()
	c := NewCauses()
	now := time.Unix(0, 0)
	c.Learn("shop", quota, now)
	c.Learn("shop", rights, now)
	require.Equal(t, map[string]string{"shop": quota.Reason}, c.Shut())
	require.Equal(t, []Probe{{"shop", 1}}, c.Due(now))
	_, admitted := c.Admits("shop", false)
	require.False(t, admitted)
	c.Begin("shop", 1)
	require.Empty(t, c.Due(now.Add(time.Hour)), "while one is in flight")
	_, waits := c.Next()
	require.False(t, waits)
	c.Refused("shop", quota, "full", true, now)
	next, _ := c.Next()
	delay, _ := c.Of("shop")
	require.Equal(t, Delay{Reason: quota.Reason, Message: "full", Attempts: 1, Since: now, Next: next}, delay)
}

func TestAnotherCauseBeginsAnew(t *testing.T) {
	t.Parallel()
	c := NewCauses()
	now := time.Unix(0, 0)
	for range 5 {
		c.Refused("shop", quota, "full", false, now)
	}
	c.Begin("shop", 1)
	later := now.Add(time.Minute)
	delay, _ := c.Refused("shop", rights, "no right", true, later)
	require.Equal(t, rights.Reason, delay.Reason)
	require.Equal(t, later, delay.Since)
	require.Equal(t, 1, delay.Attempts)
	require.False(t, c.Freed("shop", later), "a deletion grants no right")
}

func TestANamespaceWhoseTasksAreGoneIsOpenOnceTheyWereLookedForTwice(t *testing.T) {
	t.Parallel()
	c := NewCauses()
	now := time.Unix(0, 0)
	c.Refused("shop", quota, "full", false, now)
	require.False(t, c.Empty("shop", now))
	require.Empty(t, c.Due(now), "what was refused may not be recorded yet")
	require.NotEmpty(t, c.Due(now.Add(lookAgain)))
	require.True(t, c.Empty("shop", now.Add(lookAgain)))
	_, shut := c.Of("shop")
	require.False(t, shut)
}

func TestNamespacesDoNotKeepEachOtherWaiting(t *testing.T) {
	t.Parallel()
	c := NewCauses()
	now := time.Unix(0, 0)
	c.Refused("shop", quota, "full", false, now)
	_, admitted := c.Admits("bank", false)
	require.True(t, admitted)
	require.False(t, c.Freed("bank", now))
	c.Begin("shop", 1)
	c.Unproven("shop", now)
	require.Equal(t, []Probe{{"shop", 1}}, c.Due(now.Add(settle)), "what came to nothing is tried again")
}
