package limit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tries are what becomes of submissions, each "task began-ended result" in milliseconds, in the order of their ends; the
// result is ok or fails. A lone number of milliseconds is a moment at which nothing but the time tells.
func judgeAll(t *testing.T, tries ...string) (verdicts []string) {
	t.Helper()
	start := time.Now()
	at := func(milliseconds int) time.Time { return start.Add(time.Duration(milliseconds) * time.Millisecond) }
	var o Outage
	note := func(some ...Verdict) {
		for _, verdict := range some {
			who := "nobody"
			if verdict.Alone {
				who = "itself"
			}
			verdicts = append(verdicts, fmt.Sprintf("%d: %s", verdict.Task, who))
		}
	}
	for _, try := range tries {
		var task int64
		var began, ended int
		var result string
		if !strings.Contains(try, " ") {
			_, err := fmt.Sscanf(try, "%d", &ended)
			require.NoError(t, err)
			note(o.Expired(at(ended))...)
			continue
		}
		_, err := fmt.Sscanf(try, "%d %d-%d %s", &task, &began, &ended, &result)
		require.NoError(t, err)
		if result == "ok" {
			note(o.Answered(task, at(began), at(ended))...)
		} else if verdict, judged := o.Failed(task, at(ended)); judged {
			note(verdict)
		}
	}
	return verdicts
}

func TestWhoIsToBlameForAFailure(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct{ tries, verdicts []string }{
		"a task that fails while one that begins later is answered is to blame": {
			[]string{"1 0-10 fails", "2 11-20 ok"}, []string{"1: itself"},
		},
		"nothing is known of a task that fails while nobody else is tried": {[]string{"1 0-10 fails"}, nil},
		"and after a second it is taken for an outage":                     {[]string{"1 0-10 fails", "1009", "1010"}, []string{"1: nobody"}},
		"an answer to what began before the failure proves nothing": {
			[]string{"1 5-10 fails", "2 0-20 ok", "1010"}, []string{"1: nobody"},
		},
		"of many that are in flight when an outage begins none is to blame, however many they are": {
			[]string{"1 0-10 fails", "2 0-10 fails", "3 0-11 fails", "4 0-11 fails", "5 0-12 fails", "6 0-12 fails", "7 0-12 fails", "8 0-12 fails", "1010"},
			[]string{"1: nobody", "2: nobody", "3: nobody", "4: nobody", "5: nobody", "6: nobody", "7: nobody", "8: nobody"},
		},
		"a server that is away for a moment blames nobody": {
			[]string{"1 0-10 fails", "2 0-10 fails", "3 20-30 ok"}, []string{"1: nobody", "2: nobody"},
		},
		"but a task that fails so once more is to blame": {
			[]string{"1 0-10 fails", "2 0-10 fails", "3 20-30 ok", "1 500-510 fails", "4 500-510 fails", "5 520-530 ok"},
			[]string{"1: nobody", "2: nobody", "1: itself", "4: nobody"},
		},
		"unless that is more than a minute later": {
			[]string{"1 0-10 fails", "2 0-10 fails", "3 20-30 ok", "1 70000-70010 fails", "4 70000-70010 fails", "5 70020-70030 ok"},
			[]string{"1: nobody", "2: nobody", "1: nobody", "4: nobody"},
		},
		"or it was answered meanwhile": {
			[]string{"1 0-10 fails", "2 0-10 fails", "1 20-30 ok", "1 500-510 fails", "4 500-510 fails", "5 520-530 ok"},
			[]string{"1: nobody", "2: nobody", "1: nobody", "4: nobody"},
		},
		"a task that fails again and again while no other is tried is to blame from the fifth time on": {
			[]string{"1 0-10 fails", "1010", "1 1100-1110 fails", "1 1500-1510 fails", "1 1900-1910 fails", "1 2300-2310 fails", "1 2700-2710 fails"},
			[]string{"1: nobody", "1: nobody", "1: nobody", "1: nobody", "1: itself", "1: itself"},
		},
		"but not where another one fails as well": {
			[]string{"1 0-10 fails", "1010", "1 1100-1110 fails", "1 1500-1510 fails", "2 1900-1910 fails", "1 2300-2310 fails", "1 2700-2710 fails"},
			[]string{"1: nobody", "1: nobody", "1: nobody", "2: nobody", "1: nobody", "1: nobody"},
		},
		"in an outage each failure is judged at once": {
			[]string{"1 0-10 fails", "1010", "2 1020-1030 fails", "1 1500-1510 fails"}, []string{"1: nobody", "2: nobody", "1: nobody"},
		},
		"the answer that ends an outage blames nobody for what failed in it": {
			[]string{"1 0-10 fails", "1 900-910 fails", "2 2000-2010 ok"}, []string{"1: nobody", "1: nobody"},
		},
		"after an outage a task that fails alone is to blame": {
			[]string{"1 0-10 fails", "1010", "2 2000-2010 ok", "1 2020-2030 fails", "3 2040-2050 ok"}, []string{"1: nobody", "1: itself"},
		},
		"a task that fails again and again alone is to blame each time": {
			[]string{"1 0-10 fails", "2 11-20 ok", "1 300-310 fails", "3 311-320 ok"}, []string{"1: itself", "1: itself"},
		},
		"an answer judges what failed before it began, and leaves what failed later": {
			[]string{"1 0-10 fails", "2 0-30 fails", "3 20-40 ok", "4 50-60 ok"}, []string{"1: nobody", "2: itself"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.verdicts, judgeAll(t, tc.tries...))
		})
	}
}

func TestTheNextTryWaitsForLongerTheLongerNobodyIsAnswered(t *testing.T) {
	t.Parallel()
	start := time.Now()
	var o Outage
	require.Zero(t, o.Pause(start))
	for task := range int64(100) { // in flight at once
		_, _ = o.Failed(task, start)
	}
	require.Equal(t, leastPause, o.Pause(start))
	now := start.Add(100 * time.Millisecond)
	require.Zero(t, o.Pause(now))
	o.Tries(now)
	require.Equal(t, 25*time.Millisecond, o.Pause(now))
	now = start.Add(time.Minute)
	o.Tries(now)
	require.Equal(t, mostPause, o.Pause(now))
	require.True(t, o.Lasts(now))
	require.Equal(t, start, o.Since())
	o.Answered(1, now, now)
	require.Zero(t, o.Pause(now))
	require.False(t, o.Fails())
}
