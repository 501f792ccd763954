package store

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// MirroredBuild is what the tables keep of a CiBuild that exists.
type MirroredBuild struct {
	UID, Namespace, Name, CiPipeline, Revision, Ref, Cause, Phase, SpecHash string
	CreatedAt                                                               time.Time
}

// MirroredCdPipeline is what the tables keep of a CdPipeline that exists.
type MirroredCdPipeline struct {
	UID, Namespace, Name, Application, Environment, ParentKind, ParentName, Policy, SpecHash string
	Suspended, Held                                                                          bool
}

// MirroredCiPipeline is what the tables keep of a CiPipeline that exists.
type MirroredCiPipeline struct {
	UID, Namespace, Name, Application, SpecHash string
	Suspended                                   bool
}

// MirrorBuilds notes builds, in the order in which they were first seen: of those that
// were created in one second the one that is noted first is the older.
func (s *Store) MirrorBuilds(ctx context.Context, builds []MirroredBuild) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.MirrorBuildsParams
	for place, build := range builds {
		params.Places = append(params.Places, int32(place))
		params.BuildUids = append(params.BuildUids, build.UID)
		params.Namespaces = append(params.Namespaces, build.Namespace)
		params.BuildNames = append(params.BuildNames, build.Name)
		params.CiPipelines = append(params.CiPipelines, build.CiPipeline)
		params.Revisions = append(params.Revisions, clean(build.Revision))
		params.Refs = append(params.Refs, clean(build.Ref))
		params.Causes = append(params.Causes, build.Cause)
		params.Phases = append(params.Phases, build.Phase)
		params.SpecHashes = append(params.SpecHashes, build.SpecHash)
		params.CreatedAts = append(params.CreatedAts, timestamp(build.CreatedAt))
	}
	if err := s.queries.MirrorBuilds(ctx, params); err != nil {
		return fmt.Errorf("mirror CiBuilds: %w", err)
	}
	return nil
}

// MirrorCdPipelines notes CdPipelines.
func (s *Store) MirrorCdPipelines(ctx context.Context, pipelines []MirroredCdPipeline) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.MirrorCdPipelinesParams
	for _, pipeline := range pipelines {
		params.PipelineUids = append(params.PipelineUids, pipeline.UID)
		params.Namespaces = append(params.Namespaces, pipeline.Namespace)
		params.Pipelines = append(params.Pipelines, pipeline.Name)
		params.Applications = append(params.Applications, clean(pipeline.Application))
		params.Environments = append(params.Environments, clean(pipeline.Environment))
		params.ParentKinds = append(params.ParentKinds, pipeline.ParentKind)
		params.ParentNames = append(params.ParentNames, pipeline.ParentName)
		params.Policies = append(params.Policies, pipeline.Policy)
		params.Suspended = append(params.Suspended, pipeline.Suspended)
		params.Held = append(params.Held, pipeline.Held)
		params.SpecHashes = append(params.SpecHashes, pipeline.SpecHash)
	}
	if err := s.queries.MirrorCdPipelines(ctx, params); err != nil {
		return fmt.Errorf("mirror CdPipelines: %w", err)
	}
	return nil
}

// MirrorCiPipelines notes CiPipelines.
func (s *Store) MirrorCiPipelines(ctx context.Context, pipelines []MirroredCiPipeline) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.MirrorCiPipelinesParams
	for _, pipeline := range pipelines {
		params.PipelineUids = append(params.PipelineUids, pipeline.UID)
		params.Namespaces = append(params.Namespaces, pipeline.Namespace)
		params.Pipelines = append(params.Pipelines, pipeline.Name)
		params.Applications = append(params.Applications, clean(pipeline.Application))
		params.Suspended = append(params.Suspended, pipeline.Suspended)
		params.SpecHashes = append(params.SpecHashes, pipeline.SpecHash)
	}
	if err := s.queries.MirrorCiPipelines(ctx, params); err != nil {
		return fmt.Errorf("mirror CiPipelines: %w", err)
	}
	return nil
}

// ForgetMirrored notes that the objects with these UIDs are gone, whatever their kind.
func (s *Store) ForgetMirrored(ctx context.Context, uids []string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	if err := s.queries.DeleteMirrored(ctx, uids); err != nil {
		return fmt.Errorf("mirror deleted objects: %w", err)
	}
	return nil
}

// Mirrored returns up to most UIDs of objects that are believed to exist, of all kinds,
// after the given one.
func (s *Store) Mirrored(ctx context.Context, after string, most int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	uids, err := s.queries.MirroredObjects(ctx, dbsqlc.MirroredObjectsParams{After: after, Namespaces: s.namespaces, Most: int32(most)}) //nolint:gosec // most is a batch size
	if err != nil {
		return nil, fmt.Errorf("list mirrored objects: %w", err)
	}
	return uids, nil
}
