package env

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// PgBouncer is a pooler before a server of ours.
type PgBouncer struct {
	scratch *scratch
	port    port
	process *process
}

// NewPgBouncer starts the machine's pgbouncer before a database of the server, with
// further lines of the section [pgbouncer], and returns the URL through it. It ends with
// t. It skips t where pgbouncer is not installed, or the server is not ours.
func (p *Postgres) NewPgBouncer(t testing.TB, databaseURL string, settings ...string) string {
	t.Helper()
	path, err := exec.LookPath("pgbouncer")
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/pgbouncer")
	}
	if err != nil {
		t.Skip("pgbouncer is not installed: apt-get install pgbouncer")
	}
	if p.scratch == nil {
		t.Skip("the server of DATABASE_URL is not ours: its password is not known to a pooler")
	}
	bouncer := &PgBouncer{}
	t.Cleanup(func() { require.NoError(t, bouncer.close()) })
	through, err := bouncer.start(t.Context(), p, path, databaseURL, settings)
	require.NoError(t, err)
	return through
}

func (b *PgBouncer) start(ctx context.Context, p *Postgres, path, databaseURL string, settings []string) (through string, err error) {
	if b.scratch, err = openScratch("pgbouncer", ""); err != nil {
		return "", err
	}
	if b.port, err = leasePort(); err != nil {
		return "", err
	}
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	users, ini := filepath.Join(b.scratch.path, "users.txt"), filepath.Join(b.scratch.path, "pgbouncer.ini")
	password, _ := parsed.User.Password()
	lines := append([]string{
		"[databases]", fmt.Sprintf("* = host=127.0.0.1 port=%s", p.port), "[pgbouncer]",
		"listen_addr = 127.0.0.1", "listen_port = " + b.port.String(), "unix_socket_dir =",
		"auth_type = scram-sha-256", "auth_file = " + users,
	}, settings...)
	for file, text := range map[string]string{
		users: fmt.Sprintf("%q %q\n", parsed.User.Username(), password),
		ini:   strings.Join(lines, "\n") + "\n",
	} {
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), p.own(file)); err != nil {
			return "", err
		}
	}
	b.process, err = start(command{
		name: "pgbouncer", path: path, dir: b.scratch.path, args: []string{ini}, user: p.user, keep: []*os.File{b.scratch.lock, b.port.lock},
	})
	if err != nil {
		return "", err
	}
	parsed.Host = b.port.address()
	return parsed.String(), b.process.until(ctx, func(ctx context.Context) error {
		// Whatever it thinks of us, it answers.
		connection, err := pgx.Connect(ctx, parsed.String())
		if err != nil {
			return err
		}
		return connection.Close(ctx)
	})
}

func (b *PgBouncer) close() error {
	var errs []error
	if b.process != nil {
		errs = append(errs, b.process.stop())
	}
	if b.port.lock != nil {
		b.port.release()
	}
	if b.scratch != nil {
		errs = append(errs, b.scratch.close())
	}
	return errors.Join(errs...)
}
