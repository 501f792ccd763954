package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgtype"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/wave"
)

// WaveSummary is what became of the newest wave of a base image.
type WaveSummary struct {
	v1alpha1.BaseImageWave
	Message string
	// Failures are some of the pipelines whose builds have failed, as namespace/name.
	Failures []string
}

// NewestWaves returns the newest wave of each base image that has had one, by UID.
func (s *Store) NewestWaves(ctx context.Context, imageUIDs []string) (map[string]WaveSummary, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.NewestWaves(ctx, imageUIDs)
	if err != nil {
		return nil, fmt.Errorf("summarise waves: %w", err)
	}
	waves := make(map[string]WaveSummary, len(rows))
	for _, row := range rows {
		waves[row.ImageUid] = summaryOf(row)
	}
	return waves, nil
}

func summaryOf(row dbsqlc.NewestWavesRow) WaveSummary {
	count := func(n int64) int32 { return int32(n) } //nolint:gosec // at most as many as there are pipelines
	return WaveSummary{Message: row.Message, Failures: row.Failures, BaseImageWave: v1alpha1.BaseImageWave{
		Number: row.Number, Digest: row.Digest, Total: count(row.Total), Pending: count(row.Pending), Running: count(row.Building),
		Succeeded: count(row.Succeeded), Failed: count(row.Failed), Skipped: count(row.Skipped), State: v1alpha1.WaveState(row.State),
		Progress: fmt.Sprintf("%d/%d", row.Succeeded+row.Failed+row.Skipped, row.Total),
	}}
}

// NamedBaseImage is what is known of a base image.
type NamedBaseImage struct {
	UID, Image, Digest string
	wave.BaseFacts
}

// NamedBaseImages returns those of the base images that exist.
func (s *Store) NamedBaseImages(ctx context.Context, names []types.NamespacedName) (map[types.NamespacedName]NamedBaseImage, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	var params dbsqlc.NamedBaseImagesParams
	for _, name := range names {
		params.ImageNamespaces, params.Names = append(params.ImageNamespaces, name.Namespace), append(params.Names, name.Name)
	}
	rows, err := s.queries.NamedBaseImages(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("read base images: %w", err)
	}
	images := make(map[types.NamespacedName]NamedBaseImage, len(rows))
	for _, row := range rows {
		images[types.NamespacedName{Namespace: row.Namespace, Name: row.Name}] = NamedBaseImage{
			UID: row.ImageUid, Image: row.Image, Digest: row.Digest,
			BaseFacts: wave.BaseFacts{CheckedAt: row.CheckedAt.Time, WaveBegan: row.WaveBegan.Time, WaveIsDue: row.WaveDueAt.Valid},
		}
	}
	return images, nil
}

// NewestRebuilds returns where the newest items of pipelines stand that have not ended, or have
// since a wave began, by the pipeline's UID.
func (s *Store) NewestRebuilds(ctx context.Context, w Wave, pipelineUIDs []string) (map[string]wave.Rebuild, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.NewestRebuilds(ctx, dbsqlc.NewestRebuildsParams{
		PipelineUids: pipelineUIDs, Since: pgtype.Timestamptz{Time: w.Began, Valid: true}, Patience: interval(wave.CheckPatience),
	})
	if err != nil {
		return nil, fmt.Errorf("read the newest rebuilds: %w", err)
	}
	rebuilds := make(map[string]wave.Rebuild, len(rows))
	for _, row := range rows {
		rebuilds[row.PipelineUid] = wave.Rebuild{
			Base: types.NamespacedName{Namespace: row.Namespace, Name: row.Name}, State: wave.State(row.State), EndedAt: row.EndedAt.Time, IsOld: row.IsOld,
		}
	}
	return rebuilds, nil
}
