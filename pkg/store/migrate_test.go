package store_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

func newConfig(t *testing.T) store.Config {
	t.Helper()
	return store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 2}
}

func newMigrator(t *testing.T, config store.Config) *store.Migrator {
	t.Helper()
	migrator, err := store.NewMigrator(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, migrator.Close()) })
	return migrator
}

func TestMigrationsGoUpAndNoneIsAppliedTwice(t *testing.T) {
	t.Parallel()
	migrator := newMigrator(t, newConfig(t))
	requireApplied(t, migrator, 0)
	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, steps(t, migrator), applied)
	requireApplied(t, migrator, applied)

	applied, err = migrator.Up(t.Context())
	require.NoError(t, err)
	require.Zero(t, applied, "the second time there is nothing to do")
}

func TestMigrationsBelowTheQueueGoDownAndUpAgain(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	for range 2 {
		migrateTo(t, config, 2)
		migrator := newMigrator(t, config)
		for _, left := range []int{1, 0} {
			require.NoError(t, migrator.Down(t.Context()))
			requireApplied(t, migrator, left)
		}
		require.ErrorContains(t, migrator.Down(t.Context()), "migrate down")
	}
}

func TestTheQueueIsNotTakenBack(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	migrator := newMigrator(t, config)
	_, err := migrator.Up(t.Context())
	require.NoError(t, err)
	for left := steps(t, migrator) - 1; left >= queueVersion; left-- {
		require.NoError(t, migrator.Down(t.Context()))
		requireApplied(t, migrator, left)
	}
	s := opened(t, config.URL)
	before := fingerprint(t, s)
	require.ErrorContains(t, migrator.Down(t.Context()), "restore the backup that was made before the upgrade")
	requireApplied(t, migrator, queueVersion)
	require.Equal(t, before, fingerprint(t, s))

	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, steps(t, migrator)-queueVersion, applied)
}

func steps(t *testing.T, migrator *store.Migrator) int {
	t.Helper()
	statuses, err := migrator.Status(t.Context())
	require.NoError(t, err)
	return len(statuses)
}

func requireApplied(t *testing.T, migrator *store.Migrator, want int) {
	t.Helper()
	statuses, err := migrator.Status(t.Context())
	require.NoError(t, err)
	last := int64(0)
	for i, step := range statuses {
		require.Equal(t, i < want, step.Applied, step.Source)
		require.Greater(t, step.Version, last)
		last = step.Version
		require.Regexp(t, `^\d{5}_\w+\.sql$`, step.Source)
	}
}

func TestManyMigratorsAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	var group sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		group.Go(func() { errs[i] = store.Migrate(t.Context(), config) })
	}
	group.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	migrator := newMigrator(t, config)
	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	require.Zero(t, applied)
}

func TestTwoSchemasInOneDatabaseDoNotMeet(t *testing.T) {
	t.Parallel()
	one := newConfig(t)
	other := one
	other.Schema = `Other "team"-2`
	first, second := openStore(t, one), openStore(t, other)
	planned(t, first, "b1", nil)
	require.Equal(t, 1, count(t, first, "ci_build"))
	require.Zero(t, count(t, second, "ci_build"))
	require.Equal(t, []string{`Other "team"-2`, "penstock"},
		table(t, first, "SELECT schemaname FROM pg_tables WHERE tablename = 'ci_build' ORDER BY 1"))
	require.Zero(t, count(t, first, "pg_tables WHERE schemaname = 'public'"))
}

func TestASchemaThatExistsIsUsed(t *testing.T) {
	t.Parallel()
	config := newConfig(t)
	migrator := newMigrator(t, config)
	again := newMigrator(t, config)
	applied, err := migrator.Up(t.Context())
	require.NoError(t, err)
	requireApplied(t, again, applied)
}

func TestADatabaseWithoutTablesDoesNotPing(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), newConfig(t))
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.ErrorContains(t, s.Ping(t.Context()), "ping database")
	require.NoError(t, newStore(t).Ping(t.Context()))
}

func TestAStoreMigratesOnOneOfItsConnections(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 1})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	require.NoError(t, s.Migrate(t.Context()))
	require.NoError(t, s.Migrate(t.Context()), "again")
	require.NoError(t, s.Ping(t.Context()))
}
