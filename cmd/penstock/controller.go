package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/penstock-cd/penstock/controllers"
	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/store"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=penstock-system,resources=leases,verbs=get;create;update

// leaderElectionID names the Lease.
const leaderElectionID = "penstock-controller"

func controllerCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller",
		Long: "Run the controller until SIGTERM or SIGINT. It is configured from the environment:\n\n" +
			config.Describe() + "\n" +
			"The cluster is the one that it runs in, or that of --kubeconfig, or of $KUBECONFIG.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runController(command.Context()) },
	}
	command.Flags().AddGoFlagSet(flag.CommandLine) // --kubeconfig of controller-runtime
	return command
}

func runController(ctx context.Context) error {
	go boundGarbage(ctx)
	settings, warnings, err := config.FromProcess()
	if err != nil {
		return err
	}
	log, err := newLogger(settings)
	if err != nil {
		return err
	}
	if err := failpoint.Enable(os.Getenv(failpoint.Variable)); err != nil {
		return err
	}
	ctrl.SetLogger(log)
	for _, warning := range warnings {
		log.Info(warning)
	}
	if settings.LeaderElect && podNamespace(settings) == "" {
		return errors.New("LEADER_ELECT is true, but the namespace of its Lease is not known outside a pod: set POD_NAMESPACE, or LEADER_ELECT=false")
	}
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	if err := requireKinds(ctx, cluster, log); err != nil {
		return err
	}
	database, err := store.Open(ctx, databaseOf(settings))
	if err != nil {
		return err
	}
	defer database.Close()
	mgr, err := newManager(ctx, cluster, settings, database, log)
	if err != nil {
		return err
	}
	log.Info("starting", "version", version, "batchSize", settings.BatchSize.String(),
		"qps", settings.KubeAPIQPS, "burst", settings.KubeAPIBurst, "databaseMaxConns", settings.DatabaseMaxConns)
	return mgr.Start(ctx)
}

// newManager builds the manager with every loop, none of them running.
func newManager(ctx context.Context, cluster *rest.Config, settings config.Config, database *store.Store, log logr.Logger) (manager.Manager, error) {
	bucket := limit.NewBucket(float64(settings.KubeAPIQPS), settings.KubeAPIBurst)
	bucket.OnWait, bucket.OnPause = gauge.APIWait, gauge.APIPause
	answers := &limit.Samples{}
	clients := newClients(cluster, bucket, answers)
	mgr, err := ctrl.NewManager(clients.background, options(settings, clients, log))
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	triggers := map[store.Lane]client.Client{}
	for lane, config := range clients.triggers {
		triggers[lane], err = client.New(config, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper()})
		if err != nil {
			return nil, fmt.Errorf("create client of lane %s: %w", lane.Name(), err)
		}
	}
	if err := metrics.Registry.Register(gauge.Pool{Stat: database.Pool().Stat}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if err := addProbes(mgr, database); err != nil {
		return nil, err
	}
	if err := mgr.Add(&migrator{database: database, log: log.WithName("migrate")}); err != nil {
		return nil, fmt.Errorf("add migrations: %w", err)
	}
	return mgr, controllers.Add(ctx, mgr, controllers.Dependencies{
		Config: settings, Store: database, Bucket: bucket, TriggerClients: triggers, Answers: answers,
		Home:      clients.home,
		Namespace: podNamespace(settings), Log: log,
	})
}

func options(settings config.Config, clients clients, log logr.Logger) ctrl.Options {
	grace := settings.ShutdownGracePeriod + shutdownMargin
	return ctrl.Options{
		Scheme:                        scheme,
		Logger:                        log,
		Cache:                         cacheOptions(settings),
		NewCache:                      clients.newCache,
		Metrics:                       metricsserver.Options{BindAddress: settings.MetricsBindAddress},
		HealthProbeBindAddress:        settings.HealthProbeBindAddress,
		LeaderElection:                settings.LeaderElect,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       podNamespace(settings),
		LeaderElectionConfig:          clients.lease,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
	}
}

// shutdownMargin is what committing needs after the last trigger in flight.
const shutdownMargin = 10 * time.Second

// addProbes: alive is whether the process answers, ready whether the database does.
func addProbes(mgr manager.Manager, database *store.Store) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("add liveness probe: %w", err)
	}
	ready := func(request *http.Request) error { return database.Ping(request.Context()) }
	if err := mgr.AddReadyzCheck("database", ready); err != nil {
		return fmt.Errorf("add readiness probe: %w", err)
	}
	return nil
}

// migrator applies the missing migrations at start, however long the database
// takes to come. The loops retry until then.
type migrator struct {
	database *store.Store
	log      logr.Logger
}

// migrateRetry is the pause after a failed attempt.
const migrateRetry = 2 * time.Second

// NeedLeaderElection is false: an advisory lock keeps replicas apart.
func (m *migrator) NeedLeaderElection() bool { return false }

// Start returns once the schema is there.
func (m *migrator) Start(ctx context.Context) error {
	for {
		err := m.database.Migrate(ctx)
		if errors.Is(err, store.ErrNewerSchema) {
			return err
		}
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // what a shutdown interrupts is taken up at the next start
		}
		m.log.Error(err, "database not ready, will retry", "retryIn", migrateRetry.String())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(migrateRetry):
		}
	}
}
