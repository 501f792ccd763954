package store_test

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/test/given"
)

// readOnly opens the tables of a store as `penstock server` does.
func readOnly(t *testing.T, config store.Config) *store.Store {
	t.Helper()
	config.ReadOnly, config.MaxConns = true, 1
	s, err := store.Open(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestWhatPeopleAskOfNotificationsIsWrittenBySessionsThatAreReadOnly(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 2}
	writing := openStore(t, config)
	s := readOnly(t, config)

	id, err := s.AskTest(t.Context(), given.Namespace, "ops", "token")
	require.NoError(t, err)
	claimed, err := writing.ClaimNotifications(t.Context(), "w", lease, nil, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Equal(t, id, claimed[0].ID)
	require.NoError(t, writing.RecordDelivery(t.Context(), "w", store.Delivery{Notification: claimed[0], State: "GivenUp", Error: "invalid_auth"}))
	require.NoError(t, s.AskResend(t.Context(), given.Namespace, id, time.Time{}))
	require.Equal(t, []string{"Waiting"}, table(t, writing, "SELECT state FROM notification WHERE due_at <= now()"))

	require.ErrorIs(t, s.AskResend(t.Context(), "elsewhere", id, time.Time{}), store.ErrNoNotification)
	require.ErrorIs(t, s.AskResend(t.Context(), given.Namespace, id+1, time.Time{}), store.ErrNoNotification)
	require.ErrorIs(t, s.AskResend(t.Context(), given.Namespace, id, time.Now().Add(-time.Hour)), store.ErrNotificationChanged)

	for sentence, write := range map[string]func() error{
		"a test outside that transaction":   func() error { _, err := s.TestChannel(t.Context(), given.Namespace, "ops", "other"); return err },
		"a resend outside that transaction": func() error { return s.ResendNotification(t.Context(), given.Namespace, id, time.Time{}) },
		"a statement":                       func() error { _, err := s.Pool().Exec(t.Context(), "DELETE FROM notification"); return err },
	} {
		require.Equal(t, store.ProblemReadOnly, store.ProblemOf(write()).Class, sentence)
	}
	require.Equal(t, []string{"1"}, table(t, writing, "SELECT count(*)::text FROM notification"))
}

func TestARoleThatMayOnlyReadIsToldSo(t *testing.T) {
	t.Parallel()
	config := store.Config{URL: postgres.NewTestDatabase(t), Schema: schema, MaxConns: 2}
	openStore(t, config)
	parsed, err := url.Parse(config.URL)
	require.NoError(t, err)
	role := "reading_" + strings.TrimPrefix(parsed.Path, "/test_")
	admin, err := pgx.Connect(t.Context(), strings.Replace(postgres.AdminURL, "/postgres?", parsed.Path+"?", 1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close(context.Background())) })
	change := func(statement string) {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	change("CREATE ROLE " + role + " LOGIN PASSWORD 'p'")
	t.Cleanup(func() {
		_, err := admin.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role)
		require.NoError(t, err)
	})
	change("GRANT USAGE ON SCHEMA " + schema + " TO " + role)
	change("GRANT SELECT ON ALL TABLES IN SCHEMA " + schema + " TO " + role)
	parsed.User = url.UserPassword(role, "p")
	config.URL = parsed.String()
	s := readOnly(t, config)
	_, err = s.AskTest(t.Context(), given.Namespace, "ops", "token")
	require.ErrorIs(t, err, store.ErrMayNotWrite)

	change("GRANT INSERT, UPDATE ON " + schema + ".notification TO " + role)
	id, err := s.AskTest(t.Context(), given.Namespace, "ops", "token")
	require.NoError(t, err, "these rights are all that it needs")
	require.NoError(t, s.AskResend(t.Context(), given.Namespace, id, time.Time{}))
}

func TestWhatIsToldOfABuildIsReadForAPreview(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	family := given.CdPipelines(2, "web")
	build := given.Build("b1")
	planned(t, s, build.Name, family)
	claims, err := s.Claim(t.Context(), cd, "w", 1000, lease)
	require.NoError(t, err)
	observe(t, s, claims[0], store.StatusFailed)
	observe(t, s, claims[1], store.StatusSucceeded)

	told, err := s.ToldOfBuild(t.Context(), given.Namespace, build.Name, build.UID, 100)
	require.NoError(t, err)
	require.Empty(t, told.Items, "no run has ended")
	followAll(t, s, family)
	told, err = s.ToldOfBuild(t.Context(), given.Namespace, build.Name, build.UID, 100)
	require.NoError(t, err)
	require.False(t, told.More)
	types := map[v1alpha1.NotificationEvent]int{}
	for _, item := range told.Items {
		types[item.Type]++
		require.Equal(t, build.UID, item.BuildUID)
	}
	require.Equal(t, map[v1alpha1.NotificationEvent]int{v1alpha1.EventRunFailed: 1, v1alpha1.EventRunSucceeded: 1, v1alpha1.EventTriggersCompleted: 1}, types)
	require.Equal(t, v1alpha1.EventTriggersCompleted, told.Items[2].Type)
	require.EqualValues(t, 1, told.Build.Triggers.Failed)
	require.Len(t, told.Build.FailedPipelines, 1)

	told, err = s.ToldOfBuild(t.Context(), given.Namespace, build.Name, build.UID, 1)
	require.NoError(t, err)
	require.True(t, told.More)
}

// toldPeople are the statements of notify_view.sql.
func toldPeople() map[string]plan {
	return map[string]plan{
		"ViewNotification": {pages: one},
		"PreviewEvents":    {pages: one, arguments: arguments{"most": "5000"}},
	}
}
