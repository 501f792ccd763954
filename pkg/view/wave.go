package view

import (
	"context"
	"fmt"
	"math"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// WaveFilter selects waves. The zero value of a field other than Scope selects all.
type WaveFilter struct {
	Scope     Scope
	BaseImage string
	State     string
	// History selects older waves beside the newest of each base image.
	History bool
	// Behind is where the page begins.
	Behind WavePlace
	Limit  int
}

// WavePlace is where a wave stands in the list. The zero value is before the first.
type WavePlace struct {
	Namespace, Name string
	Number          int64
}

// Waves returns a page of the waves of base images that exist, by namespace and name, the newest
// of each first.
func (v *View) Waves(ctx context.Context, filter WaveFilter) ([]rest.Wave, error) {
	waves, _, err := v.waves(ctx, filter)
	return waves, err
}

// waves returns the UIDs of the base images as well.
func (v *View) waves(ctx context.Context, filter WaveFilter) ([]rest.Wave, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewWaves(ctx, dbsqlc.ViewWavesParams{
		AllNamespaces: filter.Scope.All, Namespaces: filter.Scope.names(), Name: filter.BaseImage, State: filter.State, History: filter.History,
		AfterNamespace: filter.Behind.Namespace, AfterName: filter.Behind.Name, BeforeNumber: filter.Behind.Number, Most: most(filter.Limit),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list waves: %w", err)
	}
	waves, images := make([]rest.Wave, len(rows)), make([]string, len(rows))
	for i, row := range rows {
		waves[i], images[i] = wave(row), row.ImageUid
	}
	return waves, images, nil
}

func wave(row dbsqlc.ViewWavesRow) rest.Wave {
	return rest.Wave{
		Namespace: row.Namespace, BaseImage: row.Name, Number: row.Number, Image: row.Image, Digest: row.Digest, State: row.State, Message: row.Message,
		Total: row.Total, Pending: row.Pending, Running: row.Building, Succeeded: row.Succeeded, Failed: row.Failed, Skipped: row.Skipped,
		StartedAt: when(row.StartedAt), EndedAt: at(row.EndedAt),
	}
}

// WaveItemFilter selects items of one wave.
type WaveItemFilter struct {
	// Namespace, BaseImage and Number name the wave. Number 0 is the newest.
	Namespace, BaseImage string
	Number               int64
	// Scope is the namespaces whose items are shown; those of others are counted.
	Scope Scope
	// State selects items in this state; empty selects all.
	State string
	// Behind is where the page begins.
	Behind WaveItemPlace
	Limit  int
}

// WaveItemPlace is where an item stands in its wave. The zero value is before the first item of
// the wave that is asked for.
type WaveItemPlace struct {
	// Wave is the number of the wave: the newest can be another when the next page is asked for.
	Wave                     int64
	Namespace, Pipeline, UID string
}

// Wave returns a wave with a page of its items, and the place behind which the next page begins:
// the zero value where there is none. The error is ErrNotFound where there is no such wave.
func (v *View) Wave(ctx context.Context, filter WaveItemFilter) (rest.WaveDetail, WaveItemPlace, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	if filter.Behind.Wave > 0 {
		filter.Number = filter.Behind.Wave
	}
	detail, image, err := v.oneWave(ctx, filter)
	if err != nil {
		return detail, WaveItemPlace{}, err
	}
	next, err := v.waveItems(ctx, filter, image, &detail)
	if err != nil {
		return detail, next, err
	}
	detail.Hidden, err = v.queries.ViewWaveItemsHidden(ctx, dbsqlc.ViewWaveItemsHiddenParams{
		ImageUid: image, Number: detail.Wave.Number, AllNamespaces: filter.Scope.All, Namespaces: filter.Scope.names(),
	})
	if err != nil {
		return detail, next, fmt.Errorf("count items of wave: %w", err)
	}
	return detail, next, nil
}

// oneWave returns the wave that the filter names, and the UID of its base image.
func (v *View) oneWave(ctx context.Context, filter WaveItemFilter) (rest.WaveDetail, string, error) {
	asked := WaveFilter{Scope: Scope{Namespaces: []string{filter.Namespace}}, BaseImage: filter.BaseImage, Limit: 1}
	if filter.Number > 0 {
		asked.History = true
		asked.Behind = WavePlace{Namespace: filter.Namespace, Name: filter.BaseImage, Number: min(filter.Number, math.MaxInt64-1) + 1}
	}
	waves, images, err := v.waves(ctx, asked)
	if err != nil {
		return rest.WaveDetail{}, "", err
	}
	if len(waves) == 0 || (filter.Number > 0 && waves[0].Number != filter.Number) {
		return rest.WaveDetail{}, "", fmt.Errorf("wave of BaseImage %s in namespace %s: %w", filter.BaseImage, filter.Namespace, ErrNotFound)
	}
	return rest.WaveDetail{Wave: waves[0], Items: []rest.WaveItem{}}, images[0], nil
}

// waveItems adds a page of items to a wave, and returns the place of its last one where another
// page follows.
func (v *View) waveItems(ctx context.Context, filter WaveItemFilter, image string, detail *rest.WaveDetail) (next WaveItemPlace, err error) {
	rows, err := v.queries.ViewWaveItems(ctx, dbsqlc.ViewWaveItemsParams{
		ImageUid: image, Number: detail.Wave.Number, AllNamespaces: filter.Scope.All, Namespaces: filter.Scope.names(), State: filter.State,
		AfterNamespace: filter.Behind.Namespace, AfterPipeline: filter.Behind.Pipeline, AfterUid: filter.Behind.UID, Most: most(filter.Limit + 1),
	})
	if err != nil {
		return next, fmt.Errorf("list items of wave: %w", err)
	}
	if len(rows) > filter.Limit {
		rows = rows[:filter.Limit]
		last := rows[filter.Limit-1]
		next = WaveItemPlace{Wave: detail.Wave.Number, Namespace: last.Namespace, Pipeline: last.Pipeline, UID: last.PipelineUid}
	}
	for _, row := range rows {
		detail.Items = append(detail.Items, rest.WaveItem{
			Namespace: row.Namespace, Pipeline: row.Pipeline, Build: row.BuildName, State: row.State, Message: row.Message, EndedAt: at(row.EndedAt),
		})
	}
	return next, nil
}
