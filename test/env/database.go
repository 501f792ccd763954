package env

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// role owns the databases of a server of ours. It is no superuser, as in
// production, so it can't take the connections that are kept for those.
const role = "penstock"

// dropTimeout bounds what Close does on a server that is not ours.
const dropTimeout = 30 * time.Second

func (e *Environment) startDatabase(ctx context.Context) error {
	return e.timed("postgres", func() (err error) {
		e.Postgres, err = StartPostgres(ctx, PostgresOptions{
			MaxConnections: e.options.MaxConnections, Settings: e.options.PostgresSettings,
			Detached: e.options.Detached, LogDir: e.Dir,
		})
		if err != nil {
			return err
		}
		e.DatabaseURL, err = e.Postgres.NewDatabase(ctx, "penstock")
		return err
	})
}

func (p *Postgres) createRole(ctx context.Context) error {
	// The password is of letters and digits alone.
	if err := p.execute(ctx, "CREATE ROLE "+role+" LOGIN PASSWORD '"+p.password+"'"); err != nil {
		return fmt.Errorf("create role: %w", err)
	}
	return nil
}

// NewDatabase creates an empty database, whose name begins with prefix and is
// unique on the server, and returns its URL.
func (p *Postgres) NewDatabase(ctx context.Context, prefix string) (string, error) {
	name := prefix + "_" + strings.ToLower(rand.Text()[:12])
	statement := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize() + " TEMPLATE template0"
	if p.scratch != nil {
		statement += " OWNER " + role
	}
	if err := p.execute(ctx, statement); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	if p.scratch != nil {
		return p.url(role, name), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.databases = append(p.databases, name)
	return withDatabase(p.AdminURL, name)
}

// DropDatabase drops a database that NewDatabase made, and ends whoever is
// connected to it. One that is gone already is no error.
func (p *Postgres) DropDatabase(ctx context.Context, databaseURL string) error {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	return p.drop(ctx, config.Database)
}

func (p *Postgres) drop(ctx context.Context, name string) error {
	statement := "DROP DATABASE IF EXISTS " + pgx.Identifier{name}.Sanitize() + " WITH (FORCE)"
	if err := p.execute(ctx, statement); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

func (p *Postgres) dropAll() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
	defer cancel()
	var errs []error
	for _, name := range p.databases {
		errs = append(errs, p.drop(ctx, name))
	}
	return errors.Join(errs...)
}

// withDatabase is the same server's URL with another database in it.
func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme == "" {
		return "", errors.New("DATABASE_URL is not a URL, like postgres://user@host:5432/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}
