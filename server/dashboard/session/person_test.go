package session

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clocktesting "k8s.io/utils/clock/testing"
)

func (b browser) signInAs(k *Keeper, person Person) error {
	answer := httptest.NewRecorder()
	err := k.BeginAs(answer, b.sends(nil), person)
	b.take(answer)
	return err
}

func TestASessionOfAPersonHoldsTheirGroupsForATime(t *testing.T) {
	t.Parallel()
	began := time.Date(2024, 5, 17, 12, 0, 0, 0, time.UTC)
	for sentence, test := range map[string]struct {
		lifetime, ends time.Duration
	}{
		"as long as the settings say":             {time.Hour, time.Hour},
		"at most twelve hours, whatever they say": {7 * 24 * time.Hour, 12 * time.Hour},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			clock, b := clocktesting.NewFakePassiveClock(began), browser{}
			k := New(Config{Key: func() []byte { return []byte("key") }, Path: "/", Lifetime: test.lifetime, Clock: clock})
			ada := Person{Name: "ada", Groups: []string{"a", "b"}, Of: "sso"}
			require.NoError(t, b.signInAs(k, ada))
			clock.SetTime(began.Add(test.ends - time.Second))
			person, over := k.Person(b.sends(nil), "sso")
			require.Equal(t, &ada, person)
			require.False(t, over())
			require.Empty(t, k.Token(b.sends(nil)), "a person has no token")
			clock.SetTime(began.Add(test.ends))
			require.True(t, over(), "also for a stream that began before")
			person, _ = k.Person(b.sends(nil), "sso")
			require.Nil(t, person)
		})
	}
}

func TestASessionOfAPersonCountsForTheSettingsThatItBeganWith(t *testing.T) {
	t.Parallel()
	clock, b := clocktesting.NewFakePassiveClock(time.Now()), browser{}
	k := keeper(clock, "key")
	require.NoError(t, b.signInAs(k, Person{Name: "ada", Of: "sso"}))
	person, _ := k.Person(b.sends(nil), "other")
	require.Nil(t, person)
	person, _ = keeper(clock, "another key").Person(b.sends(nil), "sso")
	require.Nil(t, person)
	b.signIn(t, k, "token")
	person, _ = k.Person(b.sends(nil), "sso")
	require.Nil(t, person, "a token names nobody")
}

// uuids are names of groups that have nothing in common.
func uuids(count int) (names []string) {
	for range count {
		random := make([]byte, 16)
		_, _ = rand.Read(random)
		text := hex.EncodeToString(random)
		names = append(names, text[:8]+"-"+text[8:12]+"-"+text[12:16]+"-"+text[16:20]+"-"+text[20:])
	}
	return names
}

func TestHundredsOfGroupsFitIntoWhatProxiesTake(t *testing.T) {
	t.Parallel()
	k := keeper(clocktesting.NewFakePassiveClock(time.Now()), "key")
	named := make([]string, 800)
	for i := range named {
		named[i] = fmt.Sprintf("team-%03d-of-department-%02d-developers", i, i%17)
	}
	for sentence, groups := range map[string][]string{"800 groups with names": named, "200 groups with UUIDs": uuids(200)} {
		b := browser{}
		require.NoError(t, b.signInAs(k, Person{Name: "ada", Groups: groups, Of: "sso"}), sentence)
		k.FormToken(httptest.NewRecorder(), b.sends(nil))
		person, _ := k.Person(b.sends(nil), "sso")
		require.Equal(t, groups, person.Groups, sentence)
		require.Less(t, len(b.sends(nil).Header.Get("Cookie")), 7500, sentence)
		for _, cookie := range b {
			require.Less(t, len(cookie.String()), 4096, sentence)
		}
	}
	b := browser{}
	require.NoError(t, b.signInAs(k, Person{Name: "ada", Of: "sso"}))
	require.ErrorIs(t, b.signInAs(k, Person{Name: "ada", Groups: uuids(400), Of: "sso"}), ErrTooLong)
	person, _ := k.Person(b.sends(nil), "sso")
	require.Empty(t, person.Groups, "the session from before stays")
}

func TestASignInUnderWayIsKeptOnceAndIsNoSession(t *testing.T) {
	t.Parallel()
	type flow struct{ State string }
	clock, b := clocktesting.NewFakePassiveClock(time.Now()), browser{}
	k := keeper(clock, "key")
	var found flow
	require.False(t, k.TakeFlow(httptest.NewRecorder(), b.sends(nil), &found))
	keep := func(state string) {
		answer := httptest.NewRecorder()
		require.NoError(t, k.KeepFlow(answer, flow{state}, 10*time.Minute))
		b.take(answer)
	}
	keep("first")
	keep("second")
	require.Len(t, b, 1)
	kept := b[name+flowCookie]
	require.Equal(t, 600, kept.MaxAge)
	require.True(t, kept.Secure && kept.HttpOnly)
	require.NotContains(t, kept.Value, "second")

	answer := httptest.NewRecorder()
	require.True(t, k.TakeFlow(answer, b.sends(nil), &found))
	require.Equal(t, "second", found.State)
	b.take(answer)
	require.Empty(t, b, "it counts once")

	require.NoError(t, b.signInAs(k, Person{Name: "ada", Of: "sso"}))
	moved := browser{name + flowCookie: {Name: name + flowCookie, Value: b[name+"0"].Value}, name + "0": {Name: name + "0", Value: kept.Value}}
	require.False(t, k.TakeFlow(httptest.NewRecorder(), moved.sends(nil), &found), "a session is no sign-in")
	person, _ := k.Person(moved.sends(nil), "")
	require.Nil(t, person, "a sign-in is no session")
}
