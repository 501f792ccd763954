package env

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// setupTimeout bounds what a test prepares: a namespace, a database.
const setupTimeout = 30 * time.Second

// RunTests is a TestMain over one environment for the whole package, which it
// hands over through into:
//
//	var local *env.Environment
//
//	func TestMain(m *testing.M) {
//		os.Exit(env.RunTests(m, env.Options{Argo: true}, &local))
//	}
//
// Where into has several, each is an environment of its own.
//
// The exit code is not 0 either when the environment does not start or stop, or
// when a goroutine is left at the end. SIGINT and SIGTERM stop the environment
// before they end the tests.
func RunTests(m *testing.M, o Options, into ...**Environment) int {
	return runTests(m.Run, func(ctx context.Context) (func() error, error) {
		group, ctx := errgroup.WithContext(ctx)
		for _, one := range into {
			group.Go(func() (err error) {
				*one, err = Start(ctx, o)
				return err
			})
		}
		stop := func() error {
			var stopping errgroup.Group
			for _, one := range into {
				if *one != nil {
					stopping.Go((*one).Stop)
				}
			}
			return stopping.Wait()
		}
		if err := group.Wait(); err != nil {
			return nil, errors.Join(err, stop())
		}
		return stop, nil
	})
}

// RunTestsWithPostgres is RunTests for a package that needs nothing but
// Postgres.
func RunTestsWithPostgres(m *testing.M, o PostgresOptions, into **Postgres) int {
	return runTests(m.Run, func(ctx context.Context) (func() error, error) {
		p, err := StartPostgres(ctx, o)
		if err != nil {
			return nil, err
		}
		*into = p
		return p.Close, nil
	})
}

func runTests(run func() int, start func(context.Context) (func() error, error)) int {
	before := goleak.IgnoreCurrent()
	log.SetLogger(logr.Discard()) // what clients log, errors tell
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	stop, err := start(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	finished := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		stopOnSignal(ctx, finished, stop)
	}()
	code := run()
	close(finished)
	<-watched
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	cancel()
	if err := goleak.Find(before); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

// stopOnSignal ends the process after a signal: the tests themselves know
// nothing of it.
func stopOnSignal(ctx context.Context, finished <-chan struct{}, stop func() error) {
	select {
	case <-finished:
	case <-ctx.Done():
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(130)
	}
}

// NewNamespace creates a namespace for t alone. With the controller manager it
// returns when pods can be created there. The namespace stays: it goes with the
// environment.
func (e *Environment) NewNamespace(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	client, err := kubernetes.NewForConfig(e.Config)
	require.NoError(t, err)
	name := uniqueName(t.Name())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err = client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	require.NoError(t, err)
	if e.options.ControllerManager {
		err = wait.PollUntilContextCancel(ctx, readyInterval, true, func(ctx context.Context) (bool, error) {
			return hasDefaultServiceAccount(ctx, client, name) == nil, nil
		})
		require.NoError(t, err, "namespace %s has no default service account", name)
	}
	return name
}

// NewDatabase creates an empty database for t alone, dropped when t ends, and
// returns its URL.
func (e *Environment) NewDatabase(t testing.TB) string {
	t.Helper()
	return e.Postgres.NewTestDatabase(t)
}

// NewTestDatabase creates an empty database for t alone, dropped when t ends,
// and returns its URL.
func (p *Postgres) NewTestDatabase(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	url, err := p.NewDatabase(ctx, "test")
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		require.NoError(t, p.DropDatabase(ctx, url))
	})
	return url
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// uniqueName makes a DNS label, of at most 63 characters, of a test's name.
func uniqueName(test string) string {
	name := notInNames.ReplaceAllString(strings.ToLower(test), "-")
	return strings.Trim(name[:min(len(name), 40)], "-") + "-" + strings.ToLower(rand.Text()[:8])
}
