package request

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var postgres *env.Postgres

func TestMain(m *testing.M) {
	os.Exit(env.RunTestsWithPostgres(m, env.PostgresOptions{MaxConnections: 300}, &postgres))
}
