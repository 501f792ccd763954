package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// MirroredBaseImage is what the tables keep of a BaseImage that exists.
type MirroredBaseImage struct {
	UID, Namespace, Name string
	// Image is as it stands in the spec; Repository is the one name of its repository.
	Image, Repository, Tag string
	// Digest and PreviousDigest are believed where there is no row yet.
	Digest, PreviousDigest string
}

// BaseImageState is what the checks have found.
type BaseImageState struct {
	// Image is what the row is about.
	Image string
	// Digest is that of the last check that succeeded; "" before the first.
	Digest, PreviousDigest string
	// CheckedAt is when that was, ChangedAt when it found another digest; zero for never.
	CheckedAt, ChangedAt time.Time
}

// MirrorBaseImages notes base images that exist, and returns what is known of them, by UID.
func (s *Store) MirrorBaseImages(ctx context.Context, images []MirroredBaseImage) (map[string]BaseImageState, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.MirrorBaseImagesParams
	for _, image := range images {
		params.ImageUids = append(params.ImageUids, image.UID)
		params.ImageNamespaces = append(params.ImageNamespaces, image.Namespace)
		params.Names = append(params.Names, image.Name)
		params.Images = append(params.Images, image.Image)
		params.Repositories = append(params.Repositories, image.Repository)
		params.Tags = append(params.Tags, image.Tag)
		params.Digests = append(params.Digests, image.Digest)
		params.PreviousDigests = append(params.PreviousDigests, image.PreviousDigest)
	}
	if err := s.queries.MirrorBaseImages(ctx, params); err != nil {
		return nil, fmt.Errorf("mirror BaseImages: %w", err)
	}
	rows, err := s.queries.BaseImageStates(ctx, params.ImageUids)
	if err != nil {
		return nil, fmt.Errorf("read base images: %w", err)
	}
	states := make(map[string]BaseImageState, len(rows))
	for _, row := range rows {
		states[row.ImageUid] = stateOf(dbsqlc.RecordBaseImageChecksRow(row))
	}
	return states, nil
}

func stateOf(row dbsqlc.RecordBaseImageChecksRow) BaseImageState {
	return BaseImageState{
		Image: row.Image, Digest: row.Digest, PreviousDigest: row.PreviousDigest, CheckedAt: row.CheckedAt.Time, ChangedAt: row.ChangedAt.Time,
	}
}

// BaseImageCheck is one check that was made.
type BaseImageCheck struct {
	UID string
	// Image and Before are what the check began with: what is known to be, and the digest.
	Image, Before string
	// Digest is what it has found; "" where it has failed.
	Digest string
	// WantedAt is the wish that the check fulfils; zero where nobody wanted it.
	WantedAt time.Time
	// Settle is for how long after a change further ones are waited for.
	Settle time.Duration
}

// RecordBaseImageChecks notes what checks have found, and returns what is known now, by UID. One
// is missing where the row has another image or digest than the check began with, or is gone:
// the check is then not noted.
func (s *Store) RecordBaseImageChecks(ctx context.Context, checks []BaseImageCheck) (map[string]BaseImageState, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var params dbsqlc.RecordBaseImageChecksParams
	for _, check := range checks {
		params.ImageUids = append(params.ImageUids, check.UID)
		params.Images = append(params.Images, check.Image)
		params.Befores = append(params.Befores, check.Before)
		params.Digests = append(params.Digests, check.Digest)
		params.WantedAts = append(params.WantedAts, timestamp(check.WantedAt))
		params.Settles = append(params.Settles, interval(check.Settle))
	}
	rows, err := s.queries.RecordBaseImageChecks(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("record checks of base images: %w", err)
	}
	states := make(map[string]BaseImageState, len(rows))
	for _, row := range rows {
		states[row.ImageUid] = stateOf(row)
	}
	return states, nil
}

// WantedBaseImages returns whose check somebody wants, by UID, and since when.
func (s *Store) WantedBaseImages(ctx context.Context) (map[string]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	rows, err := s.queries.WantedBaseImages(ctx, s.namespaces)
	if err != nil {
		return nil, fmt.Errorf("look for checks that are wanted: %w", err)
	}
	wanted := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		wanted[row.ImageUid] = row.CheckWantedAt.Time
	}
	return wanted, nil
}

// WantBaseImageChecks brings the checks forward of a namespace's base images of a repository, and
// of one tag where it is not "". It returns their names.
func (s *Store) WantBaseImageChecks(ctx context.Context, namespace, repository, tag string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	names, err := s.queries.WantBaseImageChecks(ctx, dbsqlc.WantBaseImageChecksParams{Namespace: namespace, Repository: clean(repository), Tag: clean(tag)})
	if err != nil {
		return nil, fmt.Errorf("bring checks of base images forward: %w", err)
	}
	return names, nil
}

// ForgetBaseImages notes that no others exist than these, in the namespaces that are watched.
func (s *Store) ForgetBaseImages(ctx context.Context, existingUIDs []string) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	existing := append([]string{}, existingUIDs...) // never nil, which would be NULL
	if err := s.queries.ForgetBaseImages(ctx, dbsqlc.ForgetBaseImagesParams{Existing: existing, Namespaces: s.namespaces}); err != nil {
		return fmt.Errorf("forget base images: %w", err)
	}
	return nil
}

// BuiltImage is a repository that a CiPipeline builds.
type BuiltImage struct {
	Namespace, Pipeline string
	// Spellings are all that the repository may be written as, in lower case.
	Spellings []string
}

// BuiltDigests returns the digest that the newest build of each has made that succeeded, in the
// order of the images; "" where there is none.
func (s *Store) BuiltDigests(ctx context.Context, images []BuiltImage) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	var params dbsqlc.BuiltDigestsParams
	for place, image := range images {
		params.Places = append(params.Places, int32(place))
		params.ImageNamespaces = append(params.ImageNamespaces, image.Namespace)
		params.CiPipelines = append(params.CiPipelines, image.Pipeline)
		params.Spellings = append(params.Spellings, strings.Join(image.Spellings, " "))
	}
	rows, err := s.queries.BuiltDigests(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("look for what was built: %w", err)
	}
	digests := make([]string, len(images))
	for _, row := range rows {
		digests[row.Place] = row.Digest
	}
	return digests, nil
}
