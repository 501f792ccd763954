package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-cd/penstock/pkg/notify/route"
)

const (
	// firstBuild is whose runs the events are of.
	firstBuild = "notify-0"
	// writes is how many transactions write the events of one build.
	writes = 40
)

// failures are events of runs that have failed, one pipeline after the other.
const failures = `
WITH run AS (
	SELECT w.id, w.namespace, w.pipeline, w.pipeline_uid, row_number() OVER (ORDER BY w.id) - 1 AS n, count(*) OVER () AS runs
	FROM cd_workflow w JOIN ci_build b USING (build_uid) WHERE b.build_name = $1
)
INSERT INTO event (kind, namespace, build_name, pipeline, pipeline_uid, run_id, state)
SELECT 'Run', r.namespace, $1, r.pipeline, r.pipeline_uid, r.id, 'Failed'
FROM generate_series($2::integer, $3::integer - 1) i JOIN run r ON r.n = i % r.runs
ORDER BY i`

// write writes the events of one build, spread evenly.
func (s *subject) write(ctx context.Context) error {
	ticker := time.NewTicker(s.span / writes)
	defer ticker.Stop()
	for i := range writes {
		tag, err := s.Rows.Exec(ctx, failures, firstBuild, i*s.events/writes, (i+1)*s.events/writes)
		if err != nil {
			return fmt.Errorf("write events: %w", err)
		}
		s.written += int(tag.RowsAffected())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// recorded is what the rows say.
type recorded struct {
	// events is how many the notifications tell that are sent.
	events int
	// waiting is how many notifications are not.
	waiting int
	// ids are those by which the receiver knows notifications.
	ids map[string]bool
}

// recorded reads the notifications.
func (s *subject) recorded(ctx context.Context) (recorded, error) {
	found := recorded{ids: map[string]bool{}}
	rows, err := s.Rows.Query(ctx, "SELECT namespace, policy, channel, group_key, seq, created_at, state, events FROM notification")
	if err != nil {
		return found, fmt.Errorf("read notifications: %w", err)
	}
	var n route.Notification
	scanned := []any{&n.Namespace, &n.Policy, &n.Channel, &n.Group, &n.Seq, &n.CreatedAt, &n.State, &n.Events}
	_, err = pgx.ForEachRow(rows, scanned, func() error {
		found.ids[n.DeliveryID()] = true
		if n.State == route.Sent {
			found.events += int(n.Events)
		} else {
			found.waiting++
		}
		return nil
	})
	if err != nil {
		return found, fmt.Errorf("read notifications: %w", err)
	}
	return found, nil
}
