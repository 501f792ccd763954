package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/store"
)

func migrateCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "migrate",
		Short: "Move the database schema",
		Long: `Move the database schema. The controller applies what is missing when it starts;
these commands are for doing so beforehand, by hand.

Reads the same environment as the controller; DATABASE_URL, DATABASE_PASSWORD_FILE
and DATABASE_SCHEMA count.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("expected a subcommand: up, down or status") },
	}
	command.AddCommand(
		migration("up", "Apply every migration that is missing", up),
		migration("down", "Take the last migration back; the rows of its tables are lost", down),
		migration("status", "List the migrations", status),
	)
	return command
}

func migration(name, short string, run func(*cobra.Command, *store.Migrator) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			settings, _, err := config.FromProcess()
			if err != nil {
				return err
			}
			migrator, err := store.NewMigrator(command.Context(), databaseOf(settings))
			if err != nil {
				return err
			}
			defer func() { _ = migrator.Close() }()
			return run(command, migrator)
		},
	}
}

func up(command *cobra.Command, migrator *store.Migrator) error {
	applied, err := migrator.Up(command.Context())
	if err != nil {
		return err
	}
	fmt.Fprintf(command.OutOrStdout(), "applied %d migrations\n", applied)
	return nil
}

func down(command *cobra.Command, migrator *store.Migrator) error {
	if err := migrator.Down(command.Context()); err != nil {
		return err
	}
	fmt.Fprintln(command.OutOrStdout(), "took the last migration back")
	return nil
}

func status(command *cobra.Command, migrator *store.Migrator) error {
	migrations, err := migrator.Status(command.Context())
	if err != nil {
		return err
	}
	for _, migration := range migrations {
		state := "pending"
		if migration.Applied {
			state = "applied " + migration.AppliedAt.Format(time.RFC3339)
		}
		fmt.Fprintf(command.OutOrStdout(), "%05d  %-28s %s\n", migration.Version, migration.Source, state)
	}
	return nil
}

func databaseOf(settings config.Config) store.Config {
	return store.Config{
		URL: settings.DatabaseURL.Reveal(), Schema: settings.DatabaseSchema, PasswordFile: settings.DatabasePasswordFile,
		Namespaces: settings.WatchNamespaces,
		MaxConns:   int32(settings.DatabaseMaxConns), //nolint:gosec // validated to be at most 1000
		OnAcquire:  gauge.DatabaseWait,
	}
}
