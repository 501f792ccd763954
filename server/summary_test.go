package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/rest"
)

func TestTheQueueSaysWhoseLaneIsShut(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	for _, statement := range []string{
		`UPDATE task SET cluster = 'eu-1', delayed_by = 'SubmissionDelayed' WHERE owner_name = 'api'`,
		`UPDATE task SET cluster = 'eu-2' WHERE owner_name <> 'api'`,
		`INSERT INTO cluster_lane (cluster, cluster_uid, seen_uid, reason, message) VALUES ('eu-1', '', '', 'Timeout', 'no answer in 4s'), ('eu-2', 'uid', 'uid', '', '')`,
	} {
		_, err := s.rows.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	var queue rest.Queue
	s.get(t, token, "/api/v1/queue?namespace="+namespace).into(t, &queue)
	require.Len(t, queue.Items, 2)
	for _, task := range queue.Items {
		if task.Pipeline == "api" {
			require.Equal(t, "LaneShut", task.Reason)
			require.Regexp(t, `^nothing is triggered in TargetCluster eu-1 since \S+: Timeout: no answer in 4s$`, task.Message)
		} else {
			require.NotEqual(t, "LaneShut", task.Reason)
		}
	}
}

func TestTheQueueIsSummedUp(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	exec := func(statement string, args ...any) {
		t.Helper()
		_, err := s.rows.Pool().Exec(t.Context(), statement, args...)
		require.NoError(t, err)
	}
	summary := func() (sum rest.QueueSummary) {
		s.get(t, token, "/api/v1/queue/summary?namespace="+namespace).into(t, &sum)
		return sum
	}
	exec(`UPDATE task SET queued_at = now() - interval '90 s', delayed_by = 'QuotaExceeded', message = 'exceeded quota: small' WHERE namespace = $1 AND owner_name = 'api'`, namespace)
	waiting := summary()
	require.Len(t, waiting.Lanes, 1)
	require.Equal(t, rest.Lane{Kind: "cd", Pending: 2, Oldest: waiting.Lanes[0].Oldest}, waiting.Lanes[0])
	require.WithinDuration(t, time.Now().Add(-90*time.Second), *waiting.Lanes[0].Oldest, 30*time.Second)
	require.Len(t, waiting.Oldest, 2)
	require.Equal(t, "api", waiting.Oldest[0].Pipeline, "what waits longest comes first")
	require.Equal(t, "QuotaExceeded", waiting.Oldest[0].Reason, "of its namespace")
	require.Equal(t, "exceeded quota: small", waiting.Oldest[0].Message)
	require.Empty(t, waiting.Active)
	require.Zero(t, waiting.Failed.Count)
	require.Equal(t, int64(600), waiting.Failed.WindowSeconds)

	exec(`UPDATE task SET delayed_by = '', queued_at = now() WHERE namespace = $1`, namespace)
	s.submit(t)
	exec(`UPDATE task SET submitted_at = queued_at + interval '3 s' WHERE namespace = $1`, namespace)
	submitted := summary()
	require.Equal(t, int64(2), submitted.Lanes[0].Active)
	require.InDelta(t, 2.0/60, submitted.Lanes[0].PerSecond, 1e-6, "two in a minute")
	require.InDelta(t, 3, submitted.Lanes[0].WaitHalf, 1e-6)
	require.InDelta(t, 3, submitted.Lanes[0].WaitMost, 1e-6)
	require.Len(t, submitted.Active, 2)
	require.NotEmpty(t, submitted.Active[0].WorkflowName)

	exec(`UPDATE task SET cluster = 'eu-1' WHERE namespace = $1`, namespace)
	exec(`INSERT INTO cluster_lane (cluster, cluster_uid, seen_uid, reason, message) VALUES ('eu-1', '', '', 'Timeout', 'no answer in 4s'), ('eu-2', '', '', 'TLS', 'of another')`)
	require.Regexp(t, `^nothing is triggered in TargetCluster eu-1 since \S+: Timeout: no answer in 4s$`, summary().Lanes[0].Shut)
	exec(`UPDATE task SET cluster = '' WHERE namespace = $1`, namespace)

	exec(`INSERT INTO event (kind, namespace, build_name, pipeline, task_id, stage, state, reason, message)
		SELECT 'Task', $1, 'b1', owner_name, id, 'DEPLOY', 'Failed', '', 'exit code 1' FROM task WHERE namespace = $1 AND owner_name = 'web'`, namespace)
	exec(`INSERT INTO event (kind, at, namespace, pipeline, state) VALUES ('Task', now() - interval '11 min', $1, 'old', 'Error')`, namespace)
	exec(`UPDATE task SET status = 'Held', reason = 'Window' WHERE namespace = $1`, namespace)
	failed := summary()
	require.Equal(t, int64(1), failed.Failed.Count, "the other one is too old")
	require.Equal(t, "web", failed.Failed.Items[0].Pipeline)
	require.Equal(t, "exit code 1", failed.Failed.Items[0].Message)
	require.Equal(t, []rest.HeldReason{{Reason: "Window", Tasks: 2}}, failed.Held)
}

func TestTheTrendHasWhatWasTriggeredLately(t *testing.T) {
	t.Parallel()
	s, namespace, _, token := shop(t)
	s.submit(t)
	_, err := s.rows.Pool().Exec(t.Context(), `UPDATE task SET submitted_at = queued_at + interval '3 s' WHERE namespace = $1`, namespace)
	require.NoError(t, err)
	_, err = s.rows.Pool().Exec(t.Context(), `UPDATE event SET at = now() - interval '59 min' WHERE state = 'Submitted' AND id = (SELECT min(id) FROM event WHERE state = 'Submitted')`)
	require.NoError(t, err)
	_, err = s.rows.Pool().Exec(t.Context(), `INSERT INTO event (kind, at, namespace, task_id, state) SELECT 'Task', now() - interval '61 min', namespace, id, 'Submitted' FROM task`)
	require.NoError(t, err)
	var trend rest.QueueTrend
	s.get(t, token, "/api/v1/queue/trend").into(t, &trend)
	require.InDelta(t, 3600, trend.Seconds, 0)
	require.Len(t, trend.Points, 30)
	wants := rest.TrendPoint{PerSecond: 1.0 / 120, WaitHalf: 3}
	require.Equal(t, wants, trend.Points[0], "the oldest first")
	require.Equal(t, wants, trend.Points[29])
	for _, point := range trend.Points[1:29] {
		require.Zero(t, point)
	}
	require.Contains(t, s.browser(t, "").signIn(t, token, "/queue").text, "Workflows created: 0.5/min now, at most 0.5/min in the last hour")

	_, err = s.rows.Pool().Exec(t.Context(), `INSERT INTO event (kind, at, namespace, state) SELECT 'Build', now() - interval '2 min', 'elsewhere', 'Planned' FROM generate_series(1, 5000)`)
	require.NoError(t, err)
	s.get(t, token, "/api/v1/queue/trend").into(t, &trend)
	require.InDelta(t, 120, trend.Seconds, 20, "no more than so many events are looked at")
	for _, point := range trend.Points {
		require.Zero(t, point)
	}
	s.get(t, token, "/api/v1/queue/trend?namespace="+local.NewNamespace(t)).detail(t, http.StatusForbidden)
}

func TestTheSummaryHasNothingOfNamespacesThatTheCallerMayNotRead(t *testing.T) {
	t.Parallel()
	s, _, _, token := shop(t)
	elsewhere := local.NewNamespace(t)
	s.plan(t, elsewhere, "b2", family(elsewhere, "theirs"))
	var sum rest.QueueSummary
	s.get(t, token, "/api/v1/queue/summary").into(t, &sum)
	require.Equal(t, int64(2), sum.Lanes[0].Pending)
	for _, task := range sum.Oldest {
		require.NotEqual(t, elsewhere, task.Namespace)
	}
	s.get(t, token, "/api/v1/queue/summary?namespace="+elsewhere).detail(t, http.StatusForbidden)
}
