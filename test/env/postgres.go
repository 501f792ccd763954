package env

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresOptions says how to run Postgres. The zero value is what most tests
// want.
type PostgresOptions struct {
	// MaxConnections is max_connections, three of which are kept for
	// superusers. Defaults to 100.
	MaxConnections int
	// Settings are further lines of the configuration, such as
	// log_statement=all.
	Settings []string
	// ClockOffset sets the server's wall clock apart from the machine's, to whole
	// seconds.
	ClockOffset time.Duration
	// Own starts a server of our own also where DATABASE_URL names one: what is to be
	// stopped, copied or skewed can't be somebody else's.
	Own bool
	// Detached lets the server outlive this process.
	Detached bool
	// LogDir holds the server's log. Defaults to the server's own directory.
	LogDir string
}

// Postgres is a server of our own on a free loopback port, or the one that
// DATABASE_URL names. Its methods are safe for concurrent use.
type Postgres struct {
	// AdminURL is a superuser's where the server is ours, and DATABASE_URL
	// where it is not.
	AdminURL string

	options  PostgresOptions
	scratch  *scratch // nil where the server is not ours
	port     port
	user     *syscall.Credential
	bin      string
	password string

	mu        sync.Mutex
	process   *process
	databases []string // to drop on Close where the server is not ours
	closed    bool
}

// ErrForeign is the answer to stopping or restarting a server that is not ours.
var ErrForeign = errors.New("the server of DATABASE_URL is not ours to stop")

// StopMode is one of Postgres' shutdown modes, as pg_ctl names them.
type StopMode syscall.Signal

// Fast ends sessions in order; Immediate ends like a crash, so that the next
// start has to recover.
const (
	Fast      = StopMode(syscall.SIGINT)
	Immediate = StopMode(syscall.SIGQUIT)
)

// StartPostgres starts a server and returns when it answers. The context bounds
// the start alone.
func StartPostgres(ctx context.Context, o PostgresOptions) (*Postgres, error) {
	if given := os.Getenv("DATABASE_URL"); !o.Own && given != "" && !isPlayground(given) {
		p := &Postgres{AdminURL: given}
		if err := p.ping(ctx); err != nil {
			return p, fmt.Errorf("use the server of DATABASE_URL (unset it for one of our own): %w", err)
		}
		return p, nil
	}
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	p := &Postgres{options: o, bin: bin, password: rand.Text()}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Postgres) start(ctx context.Context) (err error) {
	if p.user, err = unprivileged(); err != nil {
		return err
	}
	if p.scratch, err = openScratch("postgres", ""); err != nil {
		return err
	}
	if p.port, err = leasePort(); err != nil {
		return err
	}
	p.AdminURL = p.url("postgres", "postgres")
	if err := p.initialize(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.run(ctx); err != nil {
		return err
	}
	return p.createRole(ctx)
}

func (p *Postgres) url(user, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, p.password), Host: p.port.address(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (p *Postgres) data() string { return filepath.Join(p.scratch.path, "data") }

// run starts the server over its data and waits for its answer.
func (p *Postgres) run(ctx context.Context) error {
	clock, err := skewed(ctx, p.scratch.path, p.options.ClockOffset)
	if err != nil {
		return err
	}
	process, err := start(command{
		name: "postgres", path: filepath.Join(p.bin, "postgres"), dir: p.scratch.path, logs: p.options.LogDir,
		args: p.args(), env: clock,
		user: p.user, detached: p.options.Detached, keep: []*os.File{p.scratch.lock, p.port.lock},
		stopSignal: syscall.Signal(Fast),
		// Killed outright, it would leave its shared memory behind.
		deathSignal: syscall.Signal(Immediate),
	})
	if err != nil {
		return err
	}
	p.process = process
	return process.until(ctx, p.ping)
}

func (p *Postgres) args() []string {
	args := []string{
		"-D", p.data(),
		"-p", p.port.String(),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=",
		"-c", fmt.Sprintf("max_connections=%d", cmp.Or(p.options.MaxConnections, 100)),
		// Nothing here outlives the machine; a crash of Postgres alone
		// loses nothing by it.
		"-c", "fsync=off",
		"-c", "full_page_writes=off",
	}
	for _, setting := range p.options.Settings {
		args = append(args, "-c", setting)
	}
	return args
}

// Log is the path of the server's log, empty where the server is not ours.
func (p *Postgres) Log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return ""
	}
	return p.process.log
}

func (p *Postgres) ping(ctx context.Context) error {
	return p.execute(ctx, "SELECT 1")
}

// execute runs one statement as administrator on a connection of its own.
func (p *Postgres) execute(ctx context.Context, statement string) error {
	connection, err := pgx.Connect(ctx, p.AdminURL)
	if err != nil {
		return err
	}
	_, err = connection.Exec(ctx, statement)
	return errors.Join(err, connection.Close(ctx))
}
