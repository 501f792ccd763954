package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

// mirrored is what the tables keep of a build that runs.
func mirrored(build trigger.Build, phase string) store.MirroredBuild {
	return store.MirroredBuild{
		UID: build.UID, Namespace: build.Namespace, Name: build.Name, CiPipeline: build.CiPipeline, Revision: build.Revision, Cause: build.Cause,
		Phase: phase, SpecHash: "spec", CreatedAt: build.CreatedAt,
	}
}

func TestABuildIsMirroredAndThenPlanned(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	build := builtAt("b1", 1)
	const columns = "SELECT build_name, ci_pipeline, revision, cause, phase, spec_hash, created_at, planned_at IS NOT NULL, deleted_at IS NULL FROM ci_build"
	created := build.CreatedAt.Format("2006-01-02 15:04:05 +0000 UTC")
	for _, phase := range []string{"Pending", "Running"} {
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(build, phase)}))
		require.Equal(t, []string{"b1 ci main Webhook " + phase + " spec " + created + " false true"}, table(t, s, columns))
	}
	planned, err := s.IsPlanned(t.Context(), build.UID)
	require.NoError(t, err)
	require.False(t, planned)
	known, err := s.Planned(t.Context(), []string{build.UID})
	require.NoError(t, err)
	require.Empty(t, known)
	found, err := s.FindBuild(t.Context(), build.Namespace, "b1")
	require.NoError(t, err)
	require.Nil(t, found, "nobody can ask for a build that has not ended")
	summaries, err := s.Summaries(t.Context(), []string{build.UID})
	require.NoError(t, err)
	require.Empty(t, summaries)

	plannedBuild(t, s, build, given.Artifacts(1), given.CdPipelines(1, "web"))
	require.Equal(t, []string{"b1 ci main Webhook Succeeded spec " + created + " true true"}, table(t, s, columns))
	require.Equal(t, 1, count(t, s, "cd_workflow"))
}

func TestAMirrorWritesNothingWhereNothingChanged(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	builds := []store.MirroredBuild{mirrored(builtAt("b1", 1), "Running"), mirrored(builtAt("b2", 2), "Pending"), mirrored(given.Build("b3"), "Pending")}
	cds := []store.MirroredCdPipeline{{UID: "cd", Namespace: given.Namespace, Name: "web", Application: "shop", Environment: "prod", ParentKind: "CiPipeline",
		ParentName: "ci", Policy: "Latest", SpecHash: "1", Suspended: true, Held: true}}
	cis := []store.MirroredCiPipeline{{UID: "ci", Namespace: given.Namespace, Name: "ci", Application: "shop", SpecHash: "1", Suspended: true}}
	mirror := func() {
		require.NoError(t, s.MirrorBuilds(t.Context(), builds))
		require.NoError(t, s.MirrorCdPipelines(t.Context(), cds))
		require.NoError(t, s.MirrorCiPipelines(t.Context(), cis))
	}
	mirror()
	before := fingerprint(t, s)
	mirror()
	require.Equal(t, before, fingerprint(t, s))
	require.Equal(t, []string{"cd default web shop prod CiPipeline ci Latest true true 1"}, table(t, s,
		"SELECT pipeline_uid, namespace, pipeline, application, environment, parent_kind, parent_name, policy, suspended, held, spec_hash FROM cd_pipeline"))
	require.Equal(t, []string{"ci default ci shop true 1"}, table(t, s, "SELECT pipeline_uid, namespace, pipeline, application, suspended, spec_hash FROM ci_pipeline"))

	cds[0].SpecHash, cds[0].Application, cds[0].Suspended = "2", "store", false
	cis[0].SpecHash, cis[0].Suspended = "2", false
	mirror()
	require.Equal(t, []string{"store false true 2"}, table(t, s, "SELECT application, suspended, held, spec_hash FROM cd_pipeline"))
	require.Equal(t, []string{"false 2"}, table(t, s, "SELECT suspended, spec_hash FROM ci_pipeline"))
	require.Zero(t, count(t, s, "event"), "a change of an object is no transition of a task")
}

func TestAMirrorKeepsWhatRunsHaveWritten(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", given.FamilyOf(given.CdPipeline("web")))
	before := table(t, s, "SELECT newest_at, newest_seq, last_run_id FROM cd_pipeline")
	require.NotContains(t, before[0], "<nil>")
	require.NoError(t, s.MirrorCdPipelines(t.Context(), []store.MirroredCdPipeline{{UID: string(given.UID("web")), Namespace: given.Namespace, Name: "web", SpecHash: "1"}}))
	require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(given.Build("b1"), "Succeeded")}))
	require.Equal(t, before, table(t, s, "SELECT newest_at, newest_seq, last_run_id FROM cd_pipeline"))
	require.Equal(t, 1, count(t, s, "ci_build WHERE planned_at IS NOT NULL"))
}

func TestObjectsThatAreGoneAreForgottenAndRememberedWhenTheyComeBack(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 4}
	s := openStore(t, config)
	build := mirrored(given.Build("b1"), "Running")
	build.UID = "build"
	mirror := func() {
		require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{build}))
		require.NoError(t, s.MirrorCdPipelines(t.Context(), []store.MirroredCdPipeline{{UID: "cd", Namespace: given.Namespace, Name: "web"}}))
		require.NoError(t, s.MirrorCiPipelines(t.Context(), []store.MirroredCiPipeline{{UID: "ci", Namespace: "another", Name: "ci"}}))
	}
	known := func(s *store.Store) []string {
		var all []string
		for after := ""; ; {
			page, err := s.Mirrored(t.Context(), after, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				return all
			}
			all, after = append(all, page...), page[len(page)-1]
		}
	}
	mirror()
	require.Equal(t, []string{"build", "cd", "ci"}, known(s))
	config.Namespaces = []string{given.Namespace}
	require.Equal(t, []string{"build", "cd"}, known(openStore(t, config)))

	require.NoError(t, s.ForgetMirrored(t.Context(), []string{"build", "cd", "ci", "unknown"}))
	require.Empty(t, known(s))
	before := fingerprint(t, s)
	require.Len(t, before, 3, "their rows stay")
	require.NoError(t, s.ForgetMirrored(t.Context(), []string{"build", "cd", "ci"}))
	require.Equal(t, before, fingerprint(t, s), "the second time there is nothing to note")
	mirror()
	require.Equal(t, []string{"build", "cd", "ci"}, known(s))
	require.NoError(t, s.ForgetMirrored(t.Context(), nil))
	require.Len(t, known(s), 3)
}

func TestAMirrorLearnsWhenABuildOfBeforeTheUpgradeWasCreated(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	planned(t, s, "b1", nil)
	require.Equal(t, 1, count(t, s, "ci_build WHERE created_at = '-infinity'"))
	require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(builtAt("b1", 5), "Succeeded")}))
	require.Equal(t, 1, count(t, s, "ci_build WHERE created_at = '2024-05-17 12:05:00+00' AND planned_at IS NOT NULL"))
	require.NoError(t, s.MirrorBuilds(t.Context(), []store.MirroredBuild{mirrored(builtAt("b1", 6), "Succeeded")}))
	require.Equal(t, 1, count(t, s, "ci_build WHERE created_at = '2024-05-17 12:05:00+00'"), "and it is never another")
}

func TestMirrorsOfBuildsInOppositeOrderDoNotDeadlock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for round := range rounds {
		var builds []store.MirroredBuild
		var uids []string
		for i := range 200 {
			build := mirrored(given.Build(string(given.UID(time.Duration(i).String()))), time.Duration(round).String())
			builds, uids = append(builds, build), append(uids, build.UID)
		}
		reverse := slices.Clone(builds)
		slices.Reverse(reverse)
		requireTogether(t,
			func() error { return s.MirrorBuilds(t.Context(), builds) }, func() error { return s.MirrorBuilds(t.Context(), reverse) },
			func() error { return s.ForgetMirrored(t.Context(), uids) })
	}
}

func TestBuildsOfOneSecondAreOrderedByWhenTheyWereSeen(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	seen := []store.MirroredBuild{
		{UID: "c", Name: "first", CreatedAt: at}, {UID: "b", Name: "second", CreatedAt: at}, {UID: "a", Name: "third", CreatedAt: at},
	}
	require.NoError(t, s.MirrorBuilds(t.Context(), seen))
	slices.Reverse(seen)
	require.NoError(t, s.MirrorBuilds(t.Context(), seen), "seen again in another order")
	require.Equal(t, []string{"first", "second", "third"}, table(t, s, "SELECT build_name FROM ci_build ORDER BY created_at, seq"))
}
