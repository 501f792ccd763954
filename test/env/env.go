package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
)

// Options says which parts an Environment has. The zero value is etcd,
// kube-apiserver with the CRDs installed, and Postgres.
type Options struct {
	// ControllerManager runs garbage collection, namespace deletion, default
	// service accounts and the aggregated cluster roles (view, edit, admin).
	// Without it nothing owned is ever collected, and those roles are empty.
	ControllerManager bool
	// Argo runs Argo's workflow-controller for all namespaces.
	Argo bool
	// Kwok finishes the pods of Workflows; see kwok.go for the labels that
	// decide how.
	Kwok bool
	// Audit logs every request of service accounts, of which Penstock's is one,
	// and every write of anybody to Environment.AuditLog.
	Audit bool
	// WithoutPostgres leaves Postgres out, and DatabaseURL empty.
	WithoutPostgres bool
	// WithoutCRDs leaves the API server as it comes.
	WithoutCRDs bool
	// APIServerFlags are appended to kube-apiserver's own, so they win.
	APIServerFlags []string
	// MaxConnections is Postgres' max_connections. Defaults to 100.
	MaxConnections int
	// PostgresSettings are further settings of Postgres, such as
	// log_statement=all.
	PostgresSettings []string
	// Detached lets the parts outlive this process. Attach finds them again.
	Detached bool
	// Dir holds logs, kubeconfigs and data, and is kept by Stop. Defaults to
	// a temporary directory that Stop removes.
	Dir string
	// Progress, where set, is told one line for each part that is ready. It
	// may be called from several goroutines at once.
	Progress func(string)
}

// Environment is a running set of parts. Its methods are safe for concurrent
// use.
type Environment struct {
	// Dir holds a log for each part and a kubeconfig for each user.
	Dir string
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// Config is the administrator's, without a client-side rate limit.
	Config *rest.Config
	// AuditLog is the path of the audit log, empty without Options.Audit.
	AuditLog string
	// DatabaseURL is a database of this environment alone, empty without
	// Postgres.
	DatabaseURL string
	// Postgres is the server behind DatabaseURL; nil without Postgres, and
	// after Attach where the server is ours.
	Postgres *Postgres

	options Options
	scratch *scratch
	data    string // what Stop removes even from an Options.Dir
	tokens  map[User]string
	// postgresDir is that of an attached environment.
	postgresDir string

	installing sync.Mutex

	mu    sync.Mutex
	ports []port
	// tiers are stopped one after the other, each all at once: what uses the
	// API server, the API server, etcd.
	tiers [3][]*process

	stopOnce sync.Once
	stopErr  error
}

const (
	tierClients = iota
	tierAPIServer
	tierEtcd
)

// Start starts the parts and returns when all of them are ready. The context
// bounds the start alone. On error everything that was started is stopped.
func Start(ctx context.Context, o Options) (*Environment, error) {
	e, err := prepare(o)
	if err != nil {
		return nil, err
	}
	if err := e.start(ctx); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func prepare(o Options) (*Environment, error) {
	dir, err := openScratch("env", o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Environment{
		Dir:        dir.path,
		Kubeconfig: kubeconfigPath(dir.path, Admin),
		options:    o,
		scratch:    dir,
		data:       filepath.Join(dir.path, "data"),
		tokens:     newTokens(),
	}
	if err := errors.Join(os.RemoveAll(e.data), os.Mkdir(e.data, 0o700)); err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

func (e *Environment) start(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.startControlPlane(ctx) })
	if !e.options.WithoutPostgres {
		group.Go(func() error { return e.startDatabase(ctx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return e.saveState()
}

// startControlPlane starts what hangs on the API server only once the CRDs are
// there: garbage collection looks for new kinds just every 30 seconds.
func (e *Environment) startControlPlane(ctx context.Context) error {
	etcd, err := e.startEtcd(ctx)
	if err != nil {
		return err
	}
	if err := e.startAPIServer(ctx, etcd); err != nil {
		return err
	}
	if !e.options.WithoutCRDs {
		if err := e.timed("crds", func() error { return InstallCRDs(ctx, e.Config) }); err != nil {
			return err
		}
	}
	return e.startClients(ctx)
}

func (e *Environment) startClients(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if e.options.ControllerManager {
		group.Go(func() error { return e.startControllerManager(ctx) })
	}
	if e.options.Argo {
		group.Go(func() error { return e.startArgo(ctx) })
	}
	if e.options.Kwok {
		group.Go(func() error { return e.startKwok(ctx) })
	}
	return group.Wait()
}

// spawn starts a part's process and books it for Stop.
func (e *Environment) spawn(tier int, c command) (*process, error) {
	c.dir, c.detached, c.keep = e.Dir, e.options.Detached, e.leases()
	p, err := start(c)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tiers[tier] = append(e.tiers[tier], p)
	return p, nil
}

// timed reports how long a part took to be ready.
func (e *Environment) timed(part string, run func() error) error {
	began := time.Now()
	if err := run(); err != nil {
		return fmt.Errorf("start %s: %w", part, err)
	}
	if e.options.Progress != nil {
		e.options.Progress(fmt.Sprintf("%s ready in %.1f s", part, time.Since(began).Seconds()))
	}
	return nil
}
