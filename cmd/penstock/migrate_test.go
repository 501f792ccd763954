package main

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMigrationThatDoesNotExistIsAnError(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{"": "expected a subcommand: up, down or status", "upp": `unknown command "upp"`} {
		command := migrateCommand()
		command.SetOut(io.Discard)
		command.SetErr(io.Discard)
		command.SetArgs(nil)
		if args != "" {
			command.SetArgs([]string{args})
		}
		require.ErrorContains(t, command.Execute(), want)
	}
}
