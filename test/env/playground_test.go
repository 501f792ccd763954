package env

import (
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestADatabaseThatIsToBeLookedAtIsNoServerForOthers(t *testing.T) {
	first, err := StartPostgres(t.Context(), PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, first.Close()) })
	database, err := first.NewDatabase(t.Context(), "play")
	require.NoError(t, err)
	exported := PlaygroundURL(database)
	connection, err := pgx.Connect(t.Context(), exported)
	require.NoError(t, err, "people can connect with it")
	require.NoError(t, connection.Close(t.Context()))
	if psql, err := exec.LookPath("psql"); err == nil {
		require.NoError(t, exec.CommandContext(t.Context(), psql, exported, "-c", "SELECT 1").Run())
	}

	t.Setenv("DATABASE_URL", exported)
	second, err := StartPostgres(t.Context(), PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, second.Close()) })
	require.NotEqual(t, first.AdminURL, second.AdminURL)
}
