package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

// EndTemplateWaits ends, with Error, what has waited for the template of the pipeline's
// stage for longer than the wait, by the database's clock, and returns what has changed.
func (s *Store) EndTemplateWaits(ctx context.Context, pipelineUID string, stage trigger.Stage, wait time.Duration, message string) ([]Moved, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.EndTemplateWaits(ctx, dbsqlc.EndTemplateWaitsParams{
		OwnerUid: pipelineUID, Stage: string(stage), Wait: interval(wait), Message: clean(message),
	})
	if err != nil {
		return nil, fmt.Errorf("end tasks without a template: %w", err)
	}
	return convert(rows, func(row dbsqlc.EndTemplateWaitsRow) Moved { return Moved(row) }), nil
}
