package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Receiver is a Receiver that exists.
type Receiver struct {
	types.NamespacedName
	UID        types.UID
	Generation int64
	Spec       v1alpha1.ReceiverSpec
	// Secret is what was found wrong with its Secret when it was looked at last.
	Secret SecretProblem
}

// SecretProblem is what keeps the Secret of a Receiver from being used.
type SecretProblem struct {
	// Generation is that of the Receiver at that time; 0 is before the first look.
	Generation int64
	// Reason is empty where the Secret can be used, and Message the same for people.
	Reason  v1alpha1.Reason
	Message string
}

// ReceiverState is what the tables know of a Receiver.
type ReceiverState struct {
	Generation int64
	Path       string
	// Last is what came of the delivery that was worked off last; its ID is 0 where there is
	// none.
	Last struct {
		ID               int64
		At               time.Time
		Outcome, Message string
	}
	// Secret is what was found wrong with its Secret when it was looked at last.
	Secret SecretProblem
}

// PutReceiver notes that a Receiver exists and how it is, and returns its path: the one that
// is given where it has none yet.
func (s *Store) PutReceiver(ctx context.Context, receiver Receiver, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	spec, err := json.Marshal(receiver.Spec)
	if err != nil {
		return "", fmt.Errorf("encode Receiver %s: %w", receiver.NamespacedName, err)
	}
	path, err = s.queries.PutReceiver(ctx, dbsqlc.PutReceiverParams{
		ReceiverUid: string(receiver.UID), Namespace: receiver.Namespace, Name: receiver.Name, Path: path, Type: string(receiver.Spec.Type),
		Spec: string(spec), Generation: receiver.Generation, Suspended: receiver.Spec.Suspend,
	})
	return path, wrap(err, "note Receiver "+receiver.String())
}

// ForgetReceivers notes that all but these are gone: nothing more is received at their paths.
func (s *Store) ForgetReceivers(ctx context.Context, existing []types.UID) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	uids := make([]string, len(existing))
	for i, uid := range existing {
		uids[i] = string(uid)
	}
	return wrap(s.queries.ForgetReceivers(ctx, dbsqlc.ForgetReceiversParams{Existing: uids, Namespaces: s.namespaces}), "forget Receivers")
}

// Receivers returns what is known of all Receivers that exist.
func (s *Store) Receivers(ctx context.Context) (map[types.UID]ReceiverState, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.Receivers(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("read Receivers: %w", err)
	}
	states := make(map[types.UID]ReceiverState, len(rows))
	for _, row := range rows {
		state := ReceiverState{Generation: row.Generation, Path: row.Path}
		state.Last.ID, state.Last.At, state.Last.Outcome, state.Last.Message = row.LastID, row.LastAt.Time, row.LastOutcome, row.LastMessage
		state.Secret = SecretProblem{Generation: row.SecretGeneration, Reason: v1alpha1.Reason(row.SecretReason), Message: row.SecretProblem}
		states[types.UID(row.ReceiverUid)] = state
	}
	return states, nil
}

// ReceiversByPath returns all Receivers that exist, in every namespace.
func (s *Store) ReceiversByPath(ctx context.Context) (map[string]Receiver, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ReceiversByPath(ctx)
	if err != nil {
		return nil, fmt.Errorf("read Receivers: %w", err)
	}
	receivers := make(map[string]Receiver, len(rows))
	for _, row := range rows {
		receiver := Receiver{
			NamespacedName: types.NamespacedName{Namespace: row.Namespace, Name: row.Name}, UID: types.UID(row.ReceiverUid), Generation: row.Generation,
			Secret: SecretProblem{Generation: row.SecretGeneration, Reason: v1alpha1.Reason(row.SecretReason)},
		}
		if err := json.Unmarshal(row.Spec, &receiver.Spec); err != nil {
			return nil, fmt.Errorf("decode Receiver %s: %w", receiver.NamespacedName, err)
		}
		receivers[row.Path] = receiver
	}
	return receivers, nil
}

// NoteSecret notes what is wrong with the Secret of a Receiver, or that nothing is. It may be
// called in a session that is read-only otherwise; then it may return ErrMayNotWrite.
func (s *Store) NoteSecret(ctx context.Context, receiver types.UID, problem SecretProblem) error {
	err := s.writable(ctx, func(writing *Store) error {
		return writing.queries.NoteSecret(ctx, dbsqlc.NoteSecretParams{
			ReceiverUid: string(receiver), Generation: problem.Generation, Reason: string(problem.Reason), Problem: clean(clip.Text(problem.Message, maxOutcome)),
		})
	})
	return wrap(err, "note the Secret of a Receiver")
}

// WebhookDelivery is what a Receiver received.
type WebhookDelivery struct {
	// ID is ours, and 0 before it is added.
	ID int64
	// Receiver is the name of the Receiver, and ReceiverUID which one of that name.
	Namespace, Receiver string
	ReceiverUID         types.UID
	// DeliveryID is the sender's own, and unique; Origin is that of the first of those that a
	// person had worked off again.
	DeliveryID, Origin string
	Type               v1alpha1.ReceiverType
	Event              string
	// Header are the headers that are needed to parse it; none holds a secret.
	Header http.Header
	Body   []byte
	// Repository is what deliveries are worked off in order by.
	Repository string
	ReceivedAt time.Time
	// Attempts counts the one that is under way.
	Attempts int32
}

// AddDelivery keeps a delivery and returns its ID. Where it was received before, under the same
// delivery ID or with the same body within a day, it returns the ID of that one and true. It may
// be called in a session that is read-only otherwise; then it may return ErrMayNotWrite.
func (s *Store) AddDelivery(ctx context.Context, delivery WebhookDelivery) (id int64, repeated bool, err error) {
	headers, err := json.Marshal(delivery.Header)
	if err != nil {
		return 0, false, fmt.Errorf("encode headers: %w", err)
	}
	sum := sha256.Sum256(delivery.Body)
	hash := hex.EncodeToString(sum[:])
	body := delivery.Body
	if body == nil {
		body = []byte{} // nil would be NULL
	}
	err = s.writable(ctx, func(writing *Store) error {
		added, err := writing.queries.AddDelivery(ctx, dbsqlc.AddDeliveryParams{
			ReceiverUid: string(delivery.ReceiverUID), Namespace: delivery.Namespace, Receiver: delivery.Receiver, DeliveryID: clean(delivery.DeliveryID),
			BodyHash: hash, Type: string(delivery.Type), Event: clean(delivery.Event), Headers: clean(string(headers)), Body: body, Repository: clean(delivery.Repository),
		})
		if err != nil || len(added) > 0 {
			id = first(added)
			return err
		}
		repeats, err := writing.queries.RepeatDelivery(ctx, dbsqlc.RepeatDeliveryParams{
			ReceiverUid: string(delivery.ReceiverUID), DeliveryID: clean(delivery.DeliveryID), BodyHash: hash,
		})
		id, repeated = first(repeats), true
		return err
	})
	if err == nil && id == 0 {
		err = errors.New("the delivery before it was just deleted: try again")
	}
	return id, repeated, wrap(err, "keep a delivery")
}

func first(ids []int64) int64 {
	if len(ids) == 0 {
		return 0
	}
	return ids[0]
}

// ClaimDeliveries takes up to most deliveries that are due: the first of each receiver and
// repository. They are the worker's until the lease ends, by the database's clock.
func (s *Store) ClaimDeliveries(ctx context.Context, worker string, lease time.Duration, most int) ([]WebhookDelivery, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimDeliveries(ctx, dbsqlc.ClaimDeliveriesParams{
		Worker: worker, Lease: interval(lease), Namespaces: s.namespaces, Most: int32(most), //nolint:gosec // a number of workers
	})
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	deliveries := make([]WebhookDelivery, len(rows))
	for i, row := range rows {
		if deliveries[i], err = webhookDeliveryOf(row); err != nil {
			return nil, err
		}
	}
	return deliveries, nil
}

// ClaimNextDelivery takes the first that is open of the same receiver and repository as another
// one, where it is due. It is for a worker that has finished that, and costs less than
// ClaimDeliveries, which reads all that is open.
func (s *Store) ClaimNextDelivery(ctx context.Context, worker string, lease time.Duration, after WebhookDelivery) (next WebhookDelivery, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimNextDelivery(ctx, dbsqlc.ClaimNextDeliveryParams{
		Worker: worker, Lease: interval(lease), ReceiverUid: string(after.ReceiverUID), Repository: clean(after.Repository),
	})
	if err != nil || len(rows) == 0 {
		return WebhookDelivery{}, false, wrap(err, "claim the next delivery")
	}
	next, err = webhookDeliveryOf(rows[0])
	return next, err == nil, err
}

func webhookDeliveryOf(row dbsqlc.WebhookDelivery) (WebhookDelivery, error) {
	delivery := WebhookDelivery{
		ID: row.ID, Namespace: row.Namespace, Receiver: row.Receiver, ReceiverUID: types.UID(row.ReceiverUid), DeliveryID: row.DeliveryID, Origin: row.Origin,
		Type: v1alpha1.ReceiverType(row.Type), Event: row.Event, Body: row.Body, Repository: row.Repository, ReceivedAt: row.ReceivedAt.Time, Attempts: row.Attempts,
	}
	return delivery, wrap(json.Unmarshal(row.Headers, &delivery.Header), fmt.Sprintf("decode the headers of delivery %d", row.ID))
}

// maxOutcome bounds what is kept of an outcome's message, in bytes.
const maxOutcome = 1000

// FinishDelivery notes what came of a delivery, where it is still the worker's.
func (s *Store) FinishDelivery(ctx context.Context, worker string, delivery WebhookDelivery, failed bool, outcome, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	status := "Done"
	if failed {
		status = "Failed"
	}
	_, err := s.queries.FinishDelivery(ctx, dbsqlc.FinishDeliveryParams{
		Status: status, Outcome: outcome, Message: clean(clip.Text(message, maxOutcome)), ID: delivery.ID, Worker: worker, Attempts: delivery.Attempts,
	})
	return wrap(err, fmt.Sprintf("finish delivery %d", delivery.ID))
}

// RetryDelivery has a delivery worked off again after a while, where it is still the worker's.
func (s *Store) RetryDelivery(ctx context.Context, worker string, delivery WebhookDelivery, delay time.Duration, message string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	_, err := s.queries.RetryDelivery(ctx, dbsqlc.RetryDeliveryParams{
		Message: clean(clip.Text(message, maxOutcome)), Delay: interval(delay), ID: delivery.ID, Worker: worker, Attempts: delivery.Attempts,
	})
	return wrap(err, fmt.Sprintf("put delivery %d off", delivery.ID))
}

// ReleaseDeliveries gives back what the leader before was working on when it ended.
func (s *Store) ReleaseDeliveries(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	return wrap(s.queries.ReleaseDeliveries(ctx, s.namespaces), "release deliveries")
}

// OpenDeliveries counts the deliveries that are not worked off, and returns for how long the
// first has waited.
func (s *Store) OpenDeliveries(ctx context.Context) (open int64, oldest time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	row, err := s.queries.OpenDeliveries(ctx, s.namespaces)
	return row.Open, time.Duration(row.OldestSeconds * float64(time.Second)), wrap(err, "count deliveries")
}

// ErrNoDelivery means that there is no delivery of this id.
var ErrNoDelivery = errors.New("no such delivery")

// AskRedelivery has a delivery worked off again, as one of its own, whose ID it returns. token
// names the request: asked twice with the same, it is made once. It may be called in a session
// that is read-only otherwise; it returns ErrNoDelivery or ErrMayNotWrite.
func (s *Store) AskRedelivery(ctx context.Context, namespace string, id int64, token string) (made int64, err error) {
	err = s.writable(ctx, func(writing *Store) error {
		ids, err := writing.queries.Redeliver(ctx, dbsqlc.RedeliverParams{Token: token, ID: id, Namespace: namespace})
		made = first(ids)
		return err
	})
	if err == nil && made == 0 {
		return 0, fmt.Errorf("delivery %d in namespace %s: %w: it was never received, or is older than 7 days", id, namespace, ErrNoDelivery)
	}
	return made, wrap(err, fmt.Sprintf("redeliver %d", id))
}
