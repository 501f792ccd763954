package notify

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/test/bench/fixture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post is what a receiver gets.
type post struct {
	key     string
	message notify.Message
}

func version(id, key string, events int) post {
	return post{key: key, message: notify.Message{ID: id, Details: []notify.Detail{{}}, Omitted: events - 1}}
}

func TestWhatIsLostAndWhatIsDoubledIsCounted(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{"a": true, "b": true}
	for name, test := range map[string]struct {
		posts []post
		rows  recorded
		want  tally
	}{
		"newer figures of a message replace the older ones": {
			posts: []post{version("a", "a", 1), version("a", "a.2", 6), version("b", "b", 4)}, rows: recorded{ids: ids, events: 10},
			want: tally{Delivered: 10},
		},
		"an event that no message tells is lost, whatever the rows say": {
			posts: []post{version("a", "a", 6), version("b", "b", 3)}, rows: recorded{ids: ids, events: 10},
			want: tally{Delivered: 9, Lost: 1},
		},
		"an event of which the rows do not say that it was sent is lost": {
			posts: []post{version("a", "a", 6), version("b", "b", 4)}, rows: recorded{ids: ids, events: 4},
			want: tally{Delivered: 10, Lost: 6},
		},
		"the same delivery again is doubled": {
			posts: []post{version("a", "a", 10), version("a", "a", 10)}, rows: recorded{ids: ids, events: 10},
			want: tally{Delivered: 10, Doubled: 1},
		},
		"the same figures under another key are doubled": {
			posts: []post{version("a", "a", 10), version("a", "a.2", 10)}, rows: recorded{ids: ids, events: 10},
			want: tally{Delivered: 10, Doubled: 1},
		},
		"a row that the receiver knows by another id is doubled": {
			posts: []post{version("a", "a", 10), version("c", "c", 10)}, rows: recorded{ids: ids, events: 10},
			want: tally{Delivered: 10, Doubled: 1},
		},
		"events that two messages tell are doubled": {
			posts: []post{version("a", "a", 10), version("b", "b", 2)}, rows: recorded{ids: ids, events: 12},
			want: tally{Delivered: 12, Doubled: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &receiver{messages: map[string]told{}}
			for _, post := range test.posts {
				require.Equal(t, http.StatusNoContent, r.take(post.key, post.message, time.Unix(1, 0)))
			}
			test.want.Events, test.want.Posts = 10, len(test.posts)
			require.Equal(t, test.want, r.tally(10, test.rows))
		})
	}
}

func TestWhatIsRefusedIsNotTold(t *testing.T) {
	t.Parallel()
	r := &receiver{messages: map[string]told{}}
	r.refuseUntil(time.Unix(60, 0))
	one := version("a", "a", 1)
	require.Equal(t, http.StatusServiceUnavailable, r.take(one.key, one.message, time.Unix(59, 0)))
	require.Equal(t, http.StatusNoContent, r.take(one.key, one.message, time.Unix(60, 0)))
	require.Equal(t, tally{Events: 1, Delivered: 1, Posts: 1, Refused: 1}, r.tally(1, recorded{ids: map[string]bool{"a": true}, events: 1}))
}

func TestBuildsWithNotificationsAreComparedWithTheOthers(t *testing.T) {
	t.Parallel()
	one := func(kind kind, start, took time.Duration) build {
		return build{kind: kind, Triggering: fixture.Triggering{Start: start, Took: took}}
	}
	builds := []build{
		one(refused, time.Millisecond, 4*time.Second), one(without, 5*time.Millisecond, 2*time.Second),
		one(sent, 3*time.Millisecond, 2500*time.Millisecond), one(refused, 2*time.Millisecond, 2*time.Second),
	}
	require.Equal(t, &Result{WithEfficiency: 0.8, WithoutEfficiency: 1, Ratio: 0.8, WithStart: 2, WithoutStart: 5}, summarize(builds, 110))
}
