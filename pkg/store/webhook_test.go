package store_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

func receiver(name string) store.Receiver {
	return store.Receiver{
		NamespacedName: types.NamespacedName{Namespace: given.Namespace, Name: name}, UID: types.UID(name + "-uid"), Generation: 1,
		Spec: v1alpha1.ReceiverSpec{Type: v1alpha1.ReceiverGitHub, SecretRef: &v1alpha1.LocalSecretReference{Name: "hooks"}},
	}
}

// received is a delivery to a receiver; its body is its id.
func received(id, repository string) store.WebhookDelivery {
	return store.WebhookDelivery{
		Namespace: given.Namespace, Receiver: "r", ReceiverUID: "r-uid", DeliveryID: id, Type: v1alpha1.ReceiverGitHub, Event: "push",
		Header: http.Header{"X-Github-Event": {"push"}}, Body: []byte(id), Repository: repository,
	}
}

func add(t testing.TB, s *store.Store, deliveries ...store.WebhookDelivery) []int64 {
	t.Helper()
	var ids []int64
	for _, delivery := range deliveries {
		id, repeated, err := s.AddDelivery(t.Context(), delivery)
		require.NoError(t, err)
		require.False(t, repeated)
		ids = append(ids, id)
	}
	return ids
}

func claimedDeliveries(t testing.TB, s *store.Store, worker string, most int) []store.WebhookDelivery {
	t.Helper()
	deliveries, err := s.ClaimDeliveries(t.Context(), worker, time.Minute, most)
	require.NoError(t, err)
	slices.SortFunc(deliveries, func(a, b store.WebhookDelivery) int { return int(a.ID - b.ID) })
	return deliveries
}

func idsOf(deliveries []store.WebhookDelivery) []string {
	var ids []string
	for _, delivery := range deliveries {
		ids = append(ids, delivery.DeliveryID)
	}
	return ids
}

func finish(t testing.TB, s *store.Store, delivery store.WebhookDelivery) {
	t.Helper()
	require.NoError(t, s.FinishDelivery(t.Context(), "w", delivery, false, "Built", "Built shop-1"))
}

func byPath(t testing.TB, s *store.Store) map[string]store.Receiver {
	t.Helper()
	receivers, err := s.ReceiversByPath(t.Context())
	require.NoError(t, err)
	return receivers
}

func TestAReceiverHasOnePathForItsLife(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	path, err := s.PutReceiver(t.Context(), receiver("r"), "first")
	require.NoError(t, err)
	require.Equal(t, "first", path)
	changed := receiver("r")
	changed.Generation, changed.Spec.Suspend = 2, true
	path, err = s.PutReceiver(t.Context(), changed, "second")
	require.NoError(t, err)
	require.Equal(t, "first", path)

	require.Equal(t, map[string]store.Receiver{"first": changed}, byPath(t, s))
	require.NoError(t, s.ForgetReceivers(t.Context(), []types.UID{"other"}))
	require.Empty(t, byPath(t, s), "nothing is received for what is gone")
	states, err := s.Receivers(t.Context())
	require.NoError(t, err)
	require.Empty(t, states)

	path, err = s.PutReceiver(t.Context(), changed, "third")
	require.NoError(t, err)
	require.Equal(t, "first", path, "also where it was thought to be gone")
}

func TestWhatIsWrongWithTheSecretOfAReceiverIsKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := s.PutReceiver(t.Context(), receiver("r"), "path")
	require.NoError(t, err)
	for _, problem := range []store.SecretProblem{
		{Generation: 1, Reason: v1alpha1.ReasonSecretNotFound, Message: "it does not exist"}, {Generation: 2},
	} {
		require.NoError(t, s.NoteSecret(t.Context(), "r-uid", problem))
		require.NoError(t, s.NoteSecret(t.Context(), "gone", problem), "of a Receiver that is gone nothing is noted")
		states, err := s.Receivers(t.Context())
		require.NoError(t, err)
		require.Equal(t, problem, states["r-uid"].Secret)
		byPath, err := s.ReceiversByPath(t.Context())
		require.NoError(t, err)
		require.Equal(t, store.SecretProblem{Generation: problem.Generation, Reason: problem.Reason}, byPath["path"].Secret)
	}
}

func TestWhatIsReceivedTwiceIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := add(t, s, received("a", "x"))[0]
	sameBody := received("b", "x")
	sameBody.Body = []byte("a")
	otherBody := received("a", "x")
	otherBody.Body = []byte("changed")
	for _, again := range []store.WebhookDelivery{received("a", "x"), sameBody, otherBody} {
		id, repeated, err := s.AddDelivery(t.Context(), again)
		require.NoError(t, err)
		require.True(t, repeated)
		require.Equal(t, first, id)
	}
	require.Equal(t, 1, count(t, s, "webhook_delivery WHERE repeats = 3"))
	elsewhere := received("a", "x")
	elsewhere.ReceiverUID = "other-uid"
	require.NotEqual(t, first, add(t, s, elsewhere)[0])

	execute(t, s, "UPDATE webhook_delivery SET received_at = received_at - interval '25 hours', body_key = 'yesterday'")
	require.NotEqual(t, first, add(t, s, sameBody)[0], "the same body a day later is news")
}

func TestWhatIsReceivedTwiceAtOnceIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var mu sync.Mutex
	ids, news := map[int64]bool{}, 0
	var group errgroup.Group
	for i := range 40 {
		group.Go(func() error {
			delivery := received(fmt.Sprintf("id-%d", i%4), "x") // ids and bodies are equal in other groups
			delivery.Body = []byte("same")
			id, repeated, err := s.AddDelivery(t.Context(), delivery)
			mu.Lock()
			defer mu.Unlock()
			ids[id] = true
			if !repeated {
				news++
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Len(t, ids, 1)
	require.Equal(t, 1, news)
}

func TestDeliveriesOfARepositoryAreClaimedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	add(t, s, received("x1", "x"), received("x2", "x"), received("y1", "y"), received("x3", "x"), received("z1", "z"))
	first := claimedDeliveries(t, s, "w", 10)
	require.Equal(t, []string{"x1", "y1", "z1"}, idsOf(first))
	require.Equal(t, http.Header{"X-Github-Event": {"push"}}, first[0].Header)
	require.Equal(t, []byte("x1"), first[0].Body)
	require.Empty(t, claimedDeliveries(t, s, "w", 10))
	finish(t, s, first[0])
	second := claimedDeliveries(t, s, "w", 1)
	require.Equal(t, []string{"x2"}, idsOf(second))

	require.NoError(t, s.RetryDelivery(t.Context(), "w", second[0], time.Hour, "the API server is away"))
	require.Empty(t, claimedDeliveries(t, s, "w", 10), "what comes after it waits too")
	execute(t, s, "UPDATE webhook_delivery SET due_at = now() WHERE delivery_id = 'x2'")
	again := claimedDeliveries(t, s, "w", 10)
	require.Equal(t, []string{"x2"}, idsOf(again))
	require.EqualValues(t, 2, again[0].Attempts)
	finish(t, s, second[0]) // of the attempt before
	require.Empty(t, claimedDeliveries(t, s, "w", 10), "a stale worker finishes nothing")
	finish(t, s, again[0])
	require.Equal(t, []string{"x3"}, idsOf(claimedDeliveries(t, s, "w", 10)))
}

func TestTheNextDeliveryOfARepositoryIsClaimedWithoutTheOthers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	add(t, s, received("a1", "a"), received("b1", "b"), received("a2", "a"), received("a3", "a"))
	first := claimedDeliveries(t, s, "w", 1)[0]
	next := func() string {
		delivery, found, err := s.ClaimNextDelivery(t.Context(), "w", time.Minute, first)
		require.NoError(t, err)
		require.Equal(t, found, delivery.ID != 0)
		return delivery.DeliveryID
	}
	require.Empty(t, next(), "the first is not finished")
	require.NoError(t, s.FinishDelivery(t.Context(), "w", first, false, "Built", "Built x"))
	second, found, err := s.ClaimNextDelivery(t.Context(), "w", time.Minute, first)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "a2", second.DeliveryID)
	require.EqualValues(t, 1, second.Attempts)
	require.NoError(t, s.RetryDelivery(t.Context(), "w", second, time.Hour, "away"))
	require.Empty(t, next(), "what is put off holds those after it")
	_, err = s.Pool().Exec(t.Context(), "UPDATE webhook_delivery SET due_at = now()")
	require.NoError(t, err)
	require.Equal(t, "a2", next())
	require.Equal(t, []string{"b1"}, idsOf(claimedDeliveries(t, s, "w", 8)))
}

func TestADeliveryThatAWorkerLostIsClaimedAgain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	add(t, s, received("a", "x"))
	lost := claimedDeliveries(t, s, "w", 1)[0]
	execute(t, s, "UPDATE webhook_delivery SET lease_until = now() - interval '1 second'")
	require.Equal(t, []string{"a"}, idsOf(claimedDeliveries(t, s, "v", 1)))
	finish(t, s, lost)
	require.Equal(t, 1, count(t, s, "webhook_delivery WHERE status = 'Working' AND claimed_by = 'v'"))
	require.Empty(t, claimedDeliveries(t, s, "w", 1))
	require.NoError(t, s.ReleaseDeliveries(t.Context()))
	require.Len(t, claimedDeliveries(t, s, "w", 1), 1, "the next leader takes what the one before had")
}

func TestTwoWorkersNeverClaimOneDelivery(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 60 {
		add(t, s, received(fmt.Sprint("id-", i), fmt.Sprint("repository-", i%7)))
	}
	var mu sync.Mutex
	worked := map[string][]string{}
	var group errgroup.Group
	for _, worker := range []string{"a", "b", "c"} {
		group.Go(func() error {
			for range 200 {
				deliveries, err := s.ClaimDeliveries(t.Context(), worker, time.Minute, 3)
				if err != nil {
					return err
				}
				for _, delivery := range deliveries {
					mu.Lock()
					worked[delivery.Repository] = append(worked[delivery.Repository], delivery.DeliveryID)
					mu.Unlock()
					if err := s.FinishDelivery(t.Context(), worker, delivery, false, "Ignored", ""); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	for i := range 7 {
		var want []string
		for j := i; j < 60; j += 7 {
			want = append(want, fmt.Sprint("id-", j))
		}
		require.Equal(t, want, worked[fmt.Sprint("repository-", i)])
	}
}

func TestAReceiverTellsOfTheDeliveryThatWasWorkedOffLast(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := s.PutReceiver(t.Context(), receiver("r"), "path")
	require.NoError(t, err)
	ids := add(t, s, received("a", "x"), received("b", "x"))
	finish(t, s, claimedDeliveries(t, s, "w", 1)[0])
	states, err := s.Receivers(t.Context())
	require.NoError(t, err)
	state := states["r-uid"]
	require.Equal(t, "path", state.Path)
	require.Equal(t, ids[0], state.Last.ID)
	require.Equal(t, "Built", state.Last.Outcome)
	require.Equal(t, "Built shop-1", state.Last.Message)
	open, oldest, err := s.OpenDeliveries(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, open)
	require.Positive(t, oldest)
}

func TestADeliveryIsWorkedOffAgainWhereAPersonAsks(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	id := add(t, s, received("a", "x"))[0]
	finish(t, s, claimedDeliveries(t, s, "w", 1)[0])
	made, err := s.AskRedelivery(t.Context(), given.Namespace, id, "token")
	require.NoError(t, err)
	require.NotEqual(t, id, made)
	twice, err := s.AskRedelivery(t.Context(), given.Namespace, id, "token")
	require.NoError(t, err)
	require.Equal(t, made, twice, "the same is asked once")
	again := claimedDeliveries(t, s, "w", 1)
	require.Equal(t, made, again[0].ID)
	require.Equal(t, []byte("a"), again[0].Body)
	require.Equal(t, "a", again[0].Origin)
	_, err = s.AskRedelivery(t.Context(), "elsewhere", id, "other token")
	require.ErrorIs(t, err, store.ErrNoDelivery)
	_, repeated, err := s.AddDelivery(t.Context(), received("a", "x"))
	require.NoError(t, err)
	require.True(t, repeated)
}

func TestWhatASenderSendsIsStoredWhateverItIs(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	strange := received("a\x00\xff", "x\x00")
	strange.Event, strange.Body = "\xc3", []byte("\x00\xff")
	strange.Header = http.Header{"X-Github-Event": {"\xff\xfe"}}
	add(t, s, strange)
	got := claimedDeliveries(t, s, "w", 1)[0]
	require.Equal(t, strange.Body, got.Body)
	require.NoError(t, s.FinishDelivery(t.Context(), "w", got, true, "Failed", strings.Repeat("\x00\xff", 10000)))
}

func TestDeliveriesAreKeptForSevenDays(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	add(t, s, received("old", "x"), received("open", "y"), received("new", "z"))
	for _, delivery := range claimedDeliveries(t, s, "w", 3) {
		if delivery.DeliveryID != "open" {
			finish(t, s, delivery)
		}
	}
	execute(t, s, "UPDATE webhook_delivery SET received_at = now() - interval '8 days' WHERE delivery_id <> 'new'")
	page, err := s.Prune(t.Context(), store.HistoryDeliveries, 0, store.DeliveriesAge)
	require.NoError(t, err)
	require.EqualValues(t, 1, page.Deleted)
	require.Equal(t, 2, count(t, s, "webhook_delivery WHERE delivery_id <> 'old'"))
}
