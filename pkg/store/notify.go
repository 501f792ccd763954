package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// TellTimeout bounds the transaction that turns a batch of events into notifications.
const TellTimeout = 20 * time.Second

// Told is a batch of events that can be told, in their order, and what they may be added to.
type Told struct {
	Items []route.Item
	// Now is the database's clock.
	Now time.Time
}

// Teller decides what becomes of a batch.
type Teller interface {
	// Groups are those that the events may be added to.
	Groups(told Told) []route.Key
	// Fold returns what is to be written. known is the newest notification of each of those
	// groups that has one; begun is how many groups of a channel have begun within the last
	// minute, for every channel of the groups.
	Fold(told Told, known map[route.Key]*route.Notification, begun map[types.NamespacedName]int) []route.Notification
}

// server is the identifier of the database server, which a copy of it has as well, and no
// other: transaction ids mean something there alone. It is empty where the server does not tell
// everybody; then transaction ids that are none yet show that a dump was restored. The statement
// stands here since sqlc does not know the server's functions.
func (s *Store) server(ctx context.Context) (identifier string, err error) {
	err = s.pool.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&identifier)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && slices.Contains([]string{insufficientPrivilege, "42883", "0A000"}, refused.Code) {
		return "", nil
	}
	return identifier, wrap(err, "ask for the database's identifier")
}

// TellEvents turns up to most events that nobody was told of into notifications, in one
// transaction: whatever ends it, each event is looked at once. It returns whether there may be
// more.
func (s *Store) TellEvents(ctx context.Context, most int, teller Teller) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, TellTimeout)
	defer cancel()
	server, err := s.server(ctx)
	if err != nil {
		return false, err
	}
	err = s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		cursor, err := s.lockCursor(ctx, queries, server)
		if err != nil {
			return err
		}
		events, end, err := s.untold(ctx, queries, cursor, server, most)
		if err != nil || end == s.cursorOf(cursor) {
			return err
		}
		more = len(events) == most
		told := Told{Now: cursor.At.Time}
		if told.Items, err = s.items(ctx, queries, events, comesAfter(end, isMoved(cursor, server))); err != nil {
			return err
		}
		if err := tell(ctx, queries, told, teller); err != nil {
			return err
		}
		if err := queries.MoveCursor(ctx, end); err != nil {
			return err
		}
		return failpoint.Error(failpoint.NotifyBeforeCommit)
	})
	if err != nil {
		return false, fmt.Errorf("turn events into notifications: %w", err)
	}
	return more, nil
}

// Horizon is a moment in the order of events.
type Horizon struct {
	server string
	end    dbsqlc.EventsEndRow
}

// SkipEvents leaves out every event that was visible at an earlier moment, and returns that of
// now; the zero moment leaves out none.
func (s *Store) SkipEvents(ctx context.Context, before Horizon) (now Horizon, err error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if now.server, err = s.server(ctx); err != nil {
		return Horizon{}, err
	}
	if now.end, err = s.queries.EventsEnd(ctx); err != nil {
		return Horizon{}, fmt.Errorf("look for the end of the events: %w", err)
	}
	if before == (Horizon{}) || before.server != now.server {
		return now, nil
	}
	err = s.queries.SkipEvents(ctx, dbsqlc.SkipEventsParams{EndXid: before.end.Xid, EndID: before.end.ID, Server: before.server, Watched: s.watched()})
	if err != nil {
		return Horizon{}, fmt.Errorf("leave events out: %w", err)
	}
	return now, nil
}

// lockCursor makes the cursor at its first use. Where others of the same namespaces have one,
// from when other namespaces were watched, it goes on where the furthest of them was.
func (s *Store) lockCursor(ctx context.Context, queries *dbsqlc.Queries, server string) (dbsqlc.LockCursorsRow, error) {
	for range 2 { // the second time it is there
		rows, err := queries.LockCursors(ctx)
		if err != nil {
			return dbsqlc.LockCursorsRow{}, err
		}
		rows = slices.DeleteFunc(rows, func(row dbsqlc.LockCursorsRow) bool { return !overlap(row.Watched, s.watched()) })
		if len(rows) == 0 {
			if err := queries.AddCursor(ctx, dbsqlc.AddCursorParams{Watched: s.watched(), Server: server}); err != nil {
				return dbsqlc.LockCursorsRow{}, err
			}
			continue
		}
		return rows[0], s.takeCursor(ctx, queries, rows)
	}
	return dbsqlc.LockCursorsRow{}, errors.New("the cursor is gone")
}

// takeCursor makes the first the only one of these namespaces.
func (s *Store) takeCursor(ctx context.Context, queries *dbsqlc.Queries, rows []dbsqlc.LockCursorsRow) error {
	var others []string
	for _, row := range rows[1:] {
		others = append(others, row.Watched)
	}
	if len(others) > 0 {
		if err := queries.DeleteCursors(ctx, others); err != nil {
			return err
		}
	}
	if rows[0].Watched == s.watched() {
		return nil
	}
	return queries.TakeCursor(ctx, dbsqlc.TakeCursorParams{Watched: s.watched(), WatchedBefore: rows[0].Watched})
}

// overlap tells whether two lists of namespaces have one in common; an empty one is all.
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	others := strings.Split(b, ",")
	return slices.ContainsFunc(strings.Split(a, ","), func(namespace string) bool { return slices.Contains(others, namespace) })
}

// watched names the cursor of those who watch the same namespaces.
func (s *Store) watched() string {
	return strings.Join(slices.Sorted(slices.Values(s.namespaces)), ",")
}

func (s *Store) cursorOf(row dbsqlc.LockCursorsRow) dbsqlc.MoveCursorParams {
	return dbsqlc.MoveCursorParams{Watched: s.watched(), Server: row.Server, Xid: row.Xid, ID: row.ID, FloorID: row.FloorID}
}

// isMoved tells whether the tables have come from another server.
func isMoved(cursor dbsqlc.LockCursorsRow, server string) bool {
	return cursor.Server != server || cursor.IsAhead
}

// untold reads the events after the cursor, and where it is to be moved to.
func (s *Store) untold(ctx context.Context, queries *dbsqlc.Queries, cursor dbsqlc.LockCursorsRow, server string, most int) ([]dbsqlc.UntoldEventsRow, dbsqlc.MoveCursorParams, error) {
	end := s.cursorOf(cursor)
	if isMoved(cursor, server) {
		return s.moved(ctx, queries, cursor, server, most)
	}
	rows, err := queries.UntoldEvents(ctx, dbsqlc.UntoldEventsParams{AfterXid: cursor.Xid, AfterID: cursor.ID, FloorID: cursor.FloorID, Most: int32(most)}) //nolint:gosec // a batch size
	if err != nil {
		return nil, end, err
	}
	if len(rows) > 0 {
		end.Xid, end.ID = rows[len(rows)-1].Xid, rows[len(rows)-1].ID
	}
	return rows, end, nil
}

// moved reads what a dump held and was not told, in the order of ids, and when that is done
// lets the cursor follow the transaction ids of the server that it was restored into.
func (s *Store) moved(ctx context.Context, queries *dbsqlc.Queries, cursor dbsqlc.LockCursorsRow, server string, most int) ([]dbsqlc.UntoldEventsRow, dbsqlc.MoveCursorParams, error) {
	end := s.cursorOf(cursor)
	last, err := queries.EventsEnd(ctx) // before what is read, so that what comes meanwhile is read later
	if err != nil {
		return nil, end, err
	}
	found, err := queries.MovedEvents(ctx, dbsqlc.MovedEventsParams{AfterID: cursor.ID, Most: int32(most)}) //nolint:gosec // a batch size
	if err != nil {
		return nil, end, err
	}
	rows := make([]dbsqlc.UntoldEventsRow, len(found))
	for i, row := range found {
		rows[i] = dbsqlc.UntoldEventsRow(row)
		end.ID = row.ID
	}
	if len(rows) < most {
		end = dbsqlc.MoveCursorParams{Watched: s.watched(), Server: server, Xid: last.Xid, ID: end.ID, FloorID: end.ID}
	}
	return rows, end, nil
}

// nothingLater is a place behind all events.
var nothingLater = dbsqlc.BuildsToTellParams{AfterXid: strconv.Itoa(math.MaxInt64)}

// comesAfter is the place behind what is read, for what is read later; of a dump in another
// server nothing is known to come.
func comesAfter(end dbsqlc.MoveCursorParams, isMoved bool) dbsqlc.BuildsToTellParams {
	if isMoved {
		return nothingLater
	}
	return dbsqlc.BuildsToTellParams{AfterXid: end.Xid, AfterID: end.ID, FloorID: end.FloorID}
}

// items are the events that can be told, of the namespaces that are watched, with what is
// known of their builds, pipelines and runs; and for each build of which all runs have ended
// that this is so.
func (s *Store) items(ctx context.Context, queries *dbsqlc.Queries, events []dbsqlc.UntoldEventsRow, later dbsqlc.BuildsToTellParams) ([]route.Item, error) {
	var items []route.Item
	var uids []string // of the items' pipelines
	settled := map[types.NamespacedName]bool{}
	for _, event := range events {
		if event.Namespace != "" && len(s.namespaces) > 0 && !slices.Contains(s.namespaces, event.Namespace) {
			continue
		}
		if settles(event) {
			settled[types.NamespacedName{Namespace: event.Namespace, Name: event.BuildName}] = true
		}
		event, uid, isTold := item(event)
		if isTold {
			items, uids = append(items, event), append(uids, uid)
		}
	}
	if len(items) == 0 && len(settled) == 0 {
		return nil, nil
	}
	if err := addPipelines(ctx, queries, items, uids); err != nil {
		return nil, err
	}
	if err := addRuns(ctx, queries, items); err != nil {
		return nil, err
	}
	return addBuilds(ctx, queries, items, settled, later)
}

// settles tells whether an event may be the last of a build.
func settles(event dbsqlc.UntoldEventsRow) bool {
	return event.BuildName != "" && ((event.Kind == "Run" && event.State != "Reopened") || event.Kind == "Decision")
}

func item(event dbsqlc.UntoldEventsRow) (item route.Item, pipelineUID string, isTold bool) {
	kind, isTold := route.TypeOf(event.Kind, event.State, event.Reason)
	if kind == v1alpha1.EventBuildFailed {
		event.Reason = event.State // Failed, Error or Cancelled
	}
	return route.Item{
		Type: kind, At: event.At.Time, Namespace: event.Namespace, Pipeline: event.Pipeline, Build: event.BuildName,
		Run: event.RunID, Stage: event.Stage, Reason: event.Reason, Message: event.Message, Actor: event.Actor, Cluster: event.Cluster,
	}, event.PipelineUid, isTold
}

func addPipelines(ctx context.Context, queries *dbsqlc.Queries, items []route.Item, uids []string) error {
	rows, err := queries.PipelinesToTell(ctx, uids)
	if err != nil {
		return err
	}
	known := make(map[string]dbsqlc.PipelinesToTellRow, len(rows))
	for _, row := range rows {
		known[row.PipelineUid] = row
	}
	for i := range items {
		items[i].Application, items[i].Environment = known[uids[i]].Application, known[uids[i]].Environment
		if items[i].Application == "" && items[i].Pipeline != "" {
			items[i].Application = items[i].Pipeline // as everywhere
		}
	}
	return nil
}

func addRuns(ctx context.Context, queries *dbsqlc.Queries, items []route.Item) error {
	var ids []int64
	for _, item := range items {
		if item.Run != 0 {
			ids = append(ids, item.Run)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := queries.RunsToTell(ctx, ids)
	if err != nil {
		return err
	}
	known := make(map[int64]dbsqlc.RunsToTellRow, len(rows))
	for _, row := range rows {
		known[row.ID] = row
	}
	for i := range items {
		row := known[items[i].Run]
		items[i].Image, items[i].Digest = row.Image, row.Digest
		if items[i].Type == v1alpha1.EventRunFailed || items[i].Type == v1alpha1.EventRunCancelled {
			items[i].Stage, items[i].Reason, items[i].Message = row.Stage, row.Reason, row.Message
		}
	}
	return nil
}

func addBuilds(ctx context.Context, queries *dbsqlc.Queries, items []route.Item, settled map[types.NamespacedName]bool, params dbsqlc.BuildsToTellParams) ([]route.Item, error) {
	seen := map[types.NamespacedName]bool{}
	add := func(key types.NamespacedName) {
		if key.Name != "" && !seen[key] {
			seen[key] = true
			params.Namespaces, params.BuildNames = append(params.Namespaces, key.Namespace), append(params.BuildNames, key.Name)
		}
	}
	for _, item := range items {
		add(types.NamespacedName{Namespace: item.Namespace, Name: item.Build})
	}
	for key := range settled {
		add(key)
	}
	rows, err := queries.BuildsToTell(ctx, params)
	if err != nil {
		return nil, err
	}
	known := make(map[types.NamespacedName]dbsqlc.BuildsToTellRow, len(rows))
	for _, row := range rows {
		known[types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}] = row
	}
	for i := range items {
		describe(&items[i], known[types.NamespacedName{Namespace: items[i].Namespace, Name: items[i].Build}])
	}
	for _, row := range rows { // in the order of names, so that a batch is told in one order
		key := types.NamespacedName{Namespace: row.Namespace, Name: row.BuildName}
		if settled[key] && row.IsPlanned && row.Running == 0 && row.Waiting == 0 && row.Runs > 0 && !row.HasMore {
			done := route.Item{Type: v1alpha1.EventTriggersCompleted, At: row.FinishedAt.Time, Namespace: row.Namespace, Build: row.BuildName}
			describe(&done, row)
			items = append(items, done)
		}
	}
	return items, nil
}

func describe(item *route.Item, build dbsqlc.BuildsToTellRow) {
	item.BuildUID, item.CiPipeline, item.Revision = build.BuildUid, build.CiPipeline, build.Revision
	if item.Application == "" {
		item.Application = build.Application
	}
	if item.Application == "" {
		item.Application = build.CiPipeline
	}
}

func tell(ctx context.Context, queries *dbsqlc.Queries, told Told, teller Teller) error {
	if len(told.Items) == 0 {
		return nil
	}
	keys := teller.Groups(told)
	if len(keys) == 0 {
		return nil
	}
	known, err := groups(ctx, queries, keys)
	if err != nil {
		return err
	}
	var begunOf dbsqlc.BegunNotificationsParams
	for _, key := range keys {
		begunOf.Namespaces, begunOf.Channels = append(begunOf.Namespaces, key.Namespace), append(begunOf.Channels, key.Channel)
	}
	rows, err := queries.BegunNotifications(ctx, begunOf)
	if err != nil {
		return err
	}
	begun := map[types.NamespacedName]int{}
	for _, row := range rows {
		begun[types.NamespacedName{Namespace: row.Namespace, Name: row.Channel}] = int(row.Begun)
	}
	return put(ctx, queries, teller.Fold(told, known, begun))
}

func groups(ctx context.Context, queries *dbsqlc.Queries, keys []route.Key) (map[route.Key]*route.Notification, error) {
	var params dbsqlc.NotificationsOfGroupsParams
	for _, key := range keys {
		params.Namespaces, params.Policies = append(params.Namespaces, key.Namespace), append(params.Policies, key.Policy)
		params.Channels, params.GroupKeys = append(params.Channels, key.Channel), append(params.GroupKeys, clean(key.Group))
	}
	rows, err := queries.NotificationsOfGroups(ctx, params)
	if err != nil {
		return nil, err
	}
	known := make(map[route.Key]*route.Notification, len(rows))
	for _, row := range rows {
		notification, err := notificationOf(row.Notification)
		if err != nil {
			return nil, err
		}
		notification.InFlight = row.InFlight
		known[notification.Key] = &notification
	}
	return known, nil
}

func put(ctx context.Context, queries *dbsqlc.Queries, notifications []route.Notification) error {
	if len(notifications) == 0 {
		return nil
	}
	var params dbsqlc.PutNotificationsParams
	for _, n := range notifications {
		items, err := encodeItems(n.Items)
		if err != nil {
			return err
		}
		params.Namespaces, params.Policies = append(params.Namespaces, n.Namespace), append(params.Policies, n.Policy)
		params.Channels, params.GroupKeys = append(params.Channels, n.Channel), append(params.GroupKeys, clean(n.Group))
		params.Seqs, params.Types = append(params.Seqs, n.Seq), append(params.Types, string(n.Type))
		params.BuildUids, params.Items = append(params.BuildUids, n.BuildUID), append(params.Items, items)
		params.Events, params.AreComplete = append(params.Events, n.Events), append(params.AreComplete, n.IsComplete)
		params.Wanted, params.States = append(params.Wanted, n.Wanted), append(params.States, string(n.State))
		params.DueAts, params.ClosesAts = append(params.DueAts, orNever(n.DueAt)), append(params.ClosesAts, orNever(n.ClosesAt))
	}
	return queries.PutNotifications(ctx, params)
}

// orNever is infinity for the zero time.
func orNever(at time.Time) pgtype.Timestamptz {
	if at.IsZero() {
		return pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	}
	return pgtype.Timestamptz{Time: at, Valid: true}
}

// maxItemText bounds what is kept of one text of an event, in bytes.
const maxItemText = 1000

// encodeItems returns text, which is sent as it is through a pooler too, and not as bytes.
func encodeItems(items []route.Item) (string, error) {
	kept := slices.Clone(items)
	for i := range kept {
		kept[i].Message = clean(clip.Text(kept[i].Message, maxItemText))
	}
	encoded, err := json.Marshal(kept)
	if err != nil {
		return "", fmt.Errorf("encode events: %w", err)
	}
	return string(encoded), nil
}

func notificationOf(row dbsqlc.Notification) (route.Notification, error) {
	n := route.Notification{
		ID: row.ID, Key: route.Key{Namespace: row.Namespace, Policy: row.Policy, Channel: row.Channel, Group: row.GroupKey},
		Seq: row.Seq, Type: v1alpha1.NotificationEvent(row.Type), BuildUID: row.BuildUid, Events: row.Events, IsComplete: row.IsComplete,
		Wanted: row.Wanted, Sent: row.Sent, State: route.State(row.State), Attempts: row.Attempts, DueAt: row.DueAt.Time,
		CreatedAt: row.CreatedAt.Time, ChangedAt: row.ChangedAt.Time, SentAt: row.SentAt.Time, ClosesAt: row.ClosesAt.Time,
		TriedSince: row.TriedSince.Time, Reference: row.Reference, Error: row.Error,
	}
	if err := json.Unmarshal(row.Items, &n.Items); err != nil {
		return n, fmt.Errorf("decode the events of notification %d: %w", row.ID, err)
	}
	return n, nil
}

func notificationsOf(rows []dbsqlc.Notification) ([]route.Notification, error) {
	notifications := make([]route.Notification, len(rows))
	var err error
	for i, row := range rows {
		if notifications[i], err = notificationOf(row); err != nil {
			return nil, err
		}
	}
	return notifications, nil
}

// ClaimNotifications takes up to most notifications that are due, one of each channel that is
// not busy. They are the worker's until the lease ends, by the database's clock.
func (s *Store) ClaimNotifications(ctx context.Context, worker string, lease time.Duration, busy []types.NamespacedName, most int) ([]route.Notification, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	params := dbsqlc.ClaimNotificationsParams{
		Worker: worker, Lease: interval(lease), Busy: []string{}, Namespaces: s.namespaces, Most: int32(most), //nolint:gosec // a number of workers
	}
	for _, channel := range busy {
		params.Busy = append(params.Busy, channel.String())
	}
	rows, err := s.queries.ClaimNotifications(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("claim notifications: %w", err)
	}
	return notificationsOf(rows)
}

// ClaimNextNotification takes what is due next of one channel; false where nothing is.
func (s *Store) ClaimNextNotification(ctx context.Context, worker string, lease time.Duration, channel types.NamespacedName) (route.Notification, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ClaimTimeout)
	defer cancel()
	rows, err := s.queries.ClaimNextNotification(ctx, dbsqlc.ClaimNextNotificationParams{
		Worker: worker, Lease: interval(lease), Namespace: channel.Namespace, Channel: channel.Name,
	})
	if err != nil || len(rows) == 0 {
		return route.Notification{}, false, wrap(err, "claim the next notification")
	}
	notification, err := notificationOf(rows[0])
	return notification, err == nil, err
}

// wrap says what failed, if anything has.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Delivery is what became of one attempt to send a notification.
type Delivery struct {
	Notification route.Notification
	// State is Sent, GivenUp, or Waiting: then it is tried again after Delay.
	State     route.State
	Delay     time.Duration
	Reference string
	Error     string
}

// RecordDelivery notes what became of an attempt, where it is still the worker's.
func (s *Store) RecordDelivery(ctx context.Context, worker string, d Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	_, err := s.queries.RecordNotification(ctx, dbsqlc.RecordNotificationParams{
		Outcome: string(d.State), Version: d.Notification.Wanted, Reference: clean(d.Reference), Error: clean(d.Error),
		Delay: interval(d.Delay), ID: d.Notification.ID, Worker: worker, Attempts: d.Notification.Attempts,
	})
	return wrap(err, fmt.Sprintf("record delivery of notification %d", d.Notification.ID))
}

// ChannelCount is how much of a channel waits, and was given up.
type ChannelCount struct {
	Waiting, Dropped int64
	// Oldest is for how long the first waits that should have been sent.
	Oldest time.Duration
}

// ChannelCounts counts what waits and what was given up, of each channel that has any.
func (s *Store) ChannelCounts(ctx context.Context) (map[types.NamespacedName]ChannelCount, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.ChannelCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count notifications: %w", err)
	}
	counts := make(map[types.NamespacedName]ChannelCount, len(rows))
	for _, row := range rows {
		counts[types.NamespacedName{Namespace: row.Namespace, Name: row.Channel}] = ChannelCount{
			Waiting: row.Waiting, Dropped: row.Dropped, Oldest: time.Duration(row.OldestSeconds * float64(time.Second)),
		}
	}
	return counts, nil
}

// ErrNoNotification means that there is no notification of this id.
var ErrNoNotification = errors.New("no such notification")

// ResendNotification has a notification sent again, as the same delivery.
func (s *Store) ResendNotification(ctx context.Context, namespace string, id int64) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	found, err := s.queries.ResendNotification(ctx, dbsqlc.ResendNotificationParams{ID: id, Namespace: namespace})
	if err != nil {
		return fmt.Errorf("resend notification %d: %w", id, err)
	}
	if found == 0 {
		return ErrNoNotification
	}
	return nil
}

// TestChannel has a channel sent a message that tests it. token names the test.
func (s *Store) TestChannel(ctx context.Context, namespace, channel, token string) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	items, err := encodeItems([]route.Item{{Type: route.TypeTest, Namespace: namespace, At: time.Now()}})
	if err != nil {
		return 0, err
	}
	id, err = s.queries.AddTest(ctx, dbsqlc.AddTestParams{Namespace: namespace, Channel: channel, GroupKey: "test/" + token, Items: items})
	if err != nil {
		return 0, fmt.Errorf("test channel %s: %w", channel, err)
	}
	return id, nil
}

// ReleaseNotifications gives back what a process of this name was sending when it ended.
func (s *Store) ReleaseNotifications(ctx context.Context, worker string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.ReleaseNotifications(ctx, worker); err != nil {
		return fmt.Errorf("release notifications: %w", err)
	}
	return nil
}
