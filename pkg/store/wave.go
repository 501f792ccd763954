package store

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
	"github.com/penstock-cd/penstock/pkg/wave"
)

// DueWave is a base image of which a change has settled.
type DueWave struct {
	ImageUID, Namespace, Name, Image, Digest string
	// Wave is the number of the last wave.
	Wave int64
}

// DueWaves returns the base images of which a change has settled, those first that are due the
// longest.
func (s *Store) DueWaves(ctx context.Context) ([]DueWave, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.DueWaves(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("look for waves that are due: %w", err)
	}
	return convert(rows, func(row dbsqlc.DueWavesRow) DueWave {
		return DueWave{
			ImageUID: row.ImageUid, Namespace: row.Namespace, Name: row.Name, Image: row.Image, Digest: row.Digest, Wave: row.Wave,
		}
	}), nil
}

// BeginWave commits a wave with all its items, once, and ends the older waves of the image: what
// those had not begun is built by this one. Without items the change is only noted. It returns
// false where the image has changed since.
func (s *Store) BeginWave(ctx context.Context, due DueWave, items []wave.Item) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, PlanTimeout)
	defer cancel()
	begun := false
	err := s.transaction(ctx, func(queries *dbsqlc.Queries) error {
		taken, err := queries.TakeWave(ctx, dbsqlc.TakeWaveParams{
			ImageUid: due.ImageUID, Digest: due.Digest, Wave: due.Wave, HasItems: len(items) > 0,
		})
		if err != nil || len(taken) == 0 {
			return err
		}
		begun = true
		if len(items) == 0 {
			return nil
		}
		number := taken[0]
		if err := queries.EndOlderWaves(ctx, dbsqlc.EndOlderWavesParams{
			ImageUid: due.ImageUID, Number: number, Message: fmt.Sprintf("wave %d builds on a newer digest", number),
		}); err != nil {
			return err
		}
		if err := queries.InsertWave(ctx, dbsqlc.InsertWaveParams{ImageUid: due.ImageUID, Number: number, Digest: due.Digest}); err != nil {
			return err
		}
		if err := queries.InsertWaveItems(ctx, insertWaveItems(due.ImageUID, number, items)); err != nil {
			return err
		}
		return failpoint.Error(failpoint.WaveBeforeCommit)
	})
	if err != nil {
		return false, fmt.Errorf("begin wave of %s/%s: %w", due.Namespace, due.Name, err)
	}
	return begun, nil
}

func insertWaveItems(imageUID string, number int64, items []wave.Item) dbsqlc.InsertWaveItemsParams {
	params := dbsqlc.InsertWaveItemsParams{ImageUid: imageUID, Number: number}
	for _, item := range items {
		params.PipelineUids = append(params.PipelineUids, item.PipelineUID)
		params.PipelineNamespaces = append(params.PipelineNamespaces, item.Pipeline.Namespace)
		params.Pipelines = append(params.Pipelines, item.Pipeline.Name)
		params.BuildNames = append(params.BuildNames, item.BuildName)
		params.States = append(params.States, string(item.State))
		params.Messages = append(params.Messages, item.Message)
	}
	return params
}

// Wave is one that has not ended.
type Wave struct {
	ImageUID, Digest       string
	Namespace, Name, Image string
	Number                 int64
	State                  v1alpha1.WaveState
	Forgiven               int
	Began                  time.Time
	Items                  []wave.Item
}

// OpenWaves notes how builds of waves have ended, and returns the waves that have not, the
// oldest first.
func (s *Store) OpenWaves(ctx context.Context) ([]Wave, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	rows, err := s.queries.OpenWaves(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("list waves: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	if _, err := s.queries.FollowWaveBuilds(ctx); err != nil {
		return nil, fmt.Errorf("follow builds of waves: %w", err)
	}
	waves := make([]Wave, len(rows))
	for i, row := range rows {
		waves[i] = Wave{
			ImageUID: row.ImageUid, Digest: row.Digest, Namespace: row.Namespace, Name: row.Name, Image: row.Image, Number: row.Number,
			State: v1alpha1.WaveState(row.State), Forgiven: int(row.Forgiven), Began: row.StartedAt.Time,
		}
		if waves[i].Items, err = s.waveItems(ctx, row.ImageUid, row.Number); err != nil {
			return nil, err
		}
	}
	return waves, nil
}

func (s *Store) waveItems(ctx context.Context, imageUID string, number int64) ([]wave.Item, error) {
	rows, err := s.queries.WaveItems(ctx, dbsqlc.WaveItemsParams{ImageUid: imageUID, Number: number})
	if err != nil {
		return nil, fmt.Errorf("list items of wave: %w", err)
	}
	return convert(rows, func(row dbsqlc.WaveItemsRow) wave.Item {
		return wave.Item{
			Pipeline: types.NamespacedName{Namespace: row.Namespace, Name: row.Pipeline}, PipelineUID: row.PipelineUid,
			BuildName: row.BuildName, BuildUID: row.BuildUid, State: wave.State(row.State), Message: row.Message, EndedAt: row.EndedAt.Time,
		}
	}), nil
}

// MoveWaveItems moves items of a wave that runs, and returns the UIDs of the pipelines of those
// that moved.
func (s *Store) MoveWaveItems(ctx context.Context, w Wave, items []wave.Item) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	params := dbsqlc.MoveWaveItemsParams{ImageUid: w.ImageUID, Number: w.Number}
	for _, item := range items {
		params.PipelineUids = append(params.PipelineUids, item.PipelineUID)
		params.States = append(params.States, string(item.State))
		params.Messages = append(params.Messages, clean(item.Message))
	}
	moved, err := s.queries.MoveWaveItems(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("move items of wave: %w", err)
	}
	return moved, nil
}

// MoveWave takes a wave from the state that it was read in to another one; false where it is
// not in that any more.
func (s *Store) MoveWave(ctx context.Context, w Wave, state v1alpha1.WaveState, message string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	moved, err := s.queries.MoveWave(ctx, dbsqlc.MoveWaveParams{
		ImageUid: w.ImageUID, Number: w.Number, Was: string(w.State), State: string(state), Message: clean(message),
	})
	if err != nil {
		return false, fmt.Errorf("move wave: %w", err)
	}
	return moved > 0, nil
}

// ResumeWave lets a wave go on that has stopped, because a request asks for it: as many builds
// may fail again as may at first.
func (s *Store) ResumeWave(ctx context.Context, request Request, imageUID, name string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		newest, err := newestWave(ctx, queries, imageUID, name)
		if err != nil {
			return Answer{}, err
		}
		if v1alpha1.WaveState(newest.State) != v1alpha1.WaveStopped {
			return Answer{}, refuse("wave %d of BaseImage %s has not stopped: it is %s", newest.Number, name, newest.State)
		}
		err = queries.ResumeWave(ctx, dbsqlc.ResumeWaveParams{ImageUid: imageUID, Number: newest.Number, Forgiven: int32(newest.Failed)}) //nolint:gosec // at most as many as there are pipelines
		return Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("wave %d of BaseImage %s goes on", newest.Number, name)}, err
	})
}

// CancelWave gives a wave up, because a request asks for it. Builds that have begun go on.
func (s *Store) CancelWave(ctx context.Context, request Request, imageUID, name string) (Answer, error) {
	return s.carryOut(ctx, request, func(ctx context.Context, queries *dbsqlc.Queries) (Answer, error) {
		newest, err := newestWave(ctx, queries, imageUID, name)
		if err != nil {
			return Answer{}, err
		}
		message := "cancelled by " + request.Actor
		if request.Reason != "" {
			message += ": " + request.Reason
		}
		moved, err := queries.MoveWave(ctx, dbsqlc.MoveWaveParams{
			ImageUid: imageUID, Number: newest.Number, Was: newest.State, State: string(v1alpha1.WaveCancelled), Message: clean(message),
			Actor: clean(request.Actor), ActorReason: clean(request.Reason),
		})
		if state := v1alpha1.WaveState(newest.State); err == nil && (moved == 0 || (state != v1alpha1.WaveRunning && state != v1alpha1.WaveStopped)) {
			return Answer{}, refuse("wave %d of BaseImage %s has ended: it is %s", newest.Number, name, newest.State)
		}
		if err != nil {
			return Answer{}, err
		}
		err = queries.SkipWaveItems(ctx, dbsqlc.SkipWaveItemsParams{ImageUid: imageUID, Number: newest.Number, Message: clean("the wave was " + message)})
		return Answer{Phase: v1alpha1.RequestDone, Message: fmt.Sprintf("wave %d of BaseImage %s is given up; builds that have begun go on", newest.Number, name)}, err
	})
}

func newestWave(ctx context.Context, queries *dbsqlc.Queries, imageUID, name string) (dbsqlc.LockNewestWaveRow, error) {
	rows, err := queries.LockNewestWave(ctx, imageUID)
	if err != nil {
		return dbsqlc.LockNewestWaveRow{}, fmt.Errorf("lock wave: %w", err)
	}
	if len(rows) == 0 {
		return dbsqlc.LockNewestWaveRow{}, refuse("BaseImage %s has had no wave", name)
	}
	return rows[0], nil
}
