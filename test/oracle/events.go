package oracle

import (
	"context"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5/pgxpool"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// events looks, for each event that Penstock recorded, for the rows that it tells of.
// Rows only move forward, and the table event keeps what was: what was true once can be
// seen ever after.
func events(ctx context.Context, world World) ([]string, error) {
	var found []string
	for _, cluster := range world.Clusters {
		var list eventsv1.EventList
		if err := cluster.List(ctx, &list); err != nil {
			return nil, fmt.Errorf("list events: %w", err)
		}
		for i := range list.Items {
			event := &list.Items[i]
			if event.ReportingController != v1alpha1.ManagedBy {
				continue
			}
			backed, err := isBacked(ctx, world.Database, event)
			if err != nil {
				return nil, err
			}
			if !backed {
				found = append(found, fmt.Sprintf("I7: an event on %s %s tells what no row says: %s: %s",
					event.Regarding.Kind, event.Regarding.Name, event.Reason, event.Note))
			}
		}
	}
	return found, nil
}

// claims are what an event's note tells of, and how many such rows there are.
var claims = []struct {
	kind   string
	note   *regexp.Regexp
	backed string
}{
	{"CiBuild", regexp.MustCompile(`^(\d+) of (\d+) runs have a Workflow`), `
		SELECT count(*) FILTER (WHERE EXISTS (
			SELECT FROM cd_workflow_runner r JOIN task t ON t.id = r.task_id
			WHERE r.cd_workflow_id = w.id AND (t.submitted_at IS NOT NULL OR r.attempt > 1))) >= $2::text::int
			AND count(*) >= $3::text::int
		FROM cd_workflow w WHERE w.build_uid = $1`},
	{"CdPipeline", regexp.MustCompile(`^stage (\w+) for build (\S+) ended as (\w+)`), `
		SELECT EXISTS (SELECT FROM event
			WHERE kind = 'Task' AND pipeline_uid = $1 AND stage = $2 AND build_name = $3 AND state = $4)`},
	{"CdPipeline", regexp.MustCompile(`^build (\S+): `), `
		SELECT EXISTS (SELECT FROM trigger_decision WHERE pipeline_uid = $1 AND build_name = $2)`},
}

// planned are the reasons of events that tell of a committed plan.
var planned = map[v1alpha1.Reason]bool{
	v1alpha1.ReasonPlanned: true, v1alpha1.ReasonAllTriggered: true, v1alpha1.ReasonNotAllTriggered: true, v1alpha1.ReasonNothingToDo: true, v1alpha1.ReasonBacklogFull: true,
	v1alpha1.ReasonTriggersPending: true, v1alpha1.ReasonRunsHeld: true,
	v1alpha1.ReasonQuotaExceeded: true, v1alpha1.ReasonForbidden: true, v1alpha1.ReasonPolicyDenied: true, v1alpha1.ReasonWebhookDenied: true,
	v1alpha1.ReasonWebhookFailed: true, v1alpha1.ReasonNamespaceShare: true, v1alpha1.ReasonSubmissionDelayed: true,
}

// isBacked is true of an event that tells of no row.
func isBacked(ctx context.Context, database *pgxpool.Pool, event *eventsv1.Event) (bool, error) {
	uid := string(event.Regarding.UID)
	for _, claim := range claims {
		match := claim.note.FindStringSubmatch(event.Note)
		if event.Regarding.Kind != claim.kind || match == nil {
			continue
		}
		args := []any{uid}
		for _, group := range match[1:] {
			args = append(args, group)
		}
		return ask(ctx, database, claim.backed, args...)
	}
	if event.Regarding.Kind == "CiBuild" && planned[v1alpha1.Reason(event.Reason)] {
		return ask(ctx, database, `SELECT EXISTS (SELECT FROM ci_build WHERE build_uid = $1 AND planned_at IS NOT NULL)`, uid)
	}
	return true, nil
}

func ask(ctx context.Context, database *pgxpool.Pool, query string, args ...any) (answer bool, err error) {
	if err := database.QueryRow(ctx, query, args...).Scan(&answer); err != nil {
		return false, fmt.Errorf("look for what an event tells: %w", err)
	}
	return answer, nil
}
