package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/penstock-cd/penstock/controllers"
	"github.com/penstock-cd/penstock/controllers/gauge"
	"github.com/penstock-cd/penstock/pkg/argo"
	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/limit"
	"github.com/penstock-cd/penstock/pkg/preflight"
	"github.com/penstock-cd/penstock/pkg/store"
)

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
	boundMemory(os.DirFS("/"))
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
	database, err := store.Open(ctx, databaseOf(settings))
	if err != nil {
		return err
	}
	defer database.Close()
	return run(ctx, cluster, settings, database, log)
}

// run serves the probes and runs every loop until the context ends.
func run(ctx context.Context, cluster *rest.Config, settings config.Config, database *store.Store, log logr.Logger) error {
	if err := requireKinds(ctx, cluster, log); err != nil {
		return err
	}
	made, err := newManager(ctx, cluster, settings, database, log)
	if err != nil {
		return err
	}
	stopProbes, err := serveProbes(ctx, settings.HealthProbeBindAddress, &probes{log: log.WithName("probes"), checks: []check{
		{"database", databaseReady(database, log.WithName("probes"))},
		{"cluster", func(context.Context) error { return made.checker.Ready() }},
	}})
	if err != nil {
		return err
	}
	defer stopProbes()
	log.Info("starting", "version", version, "replica", made.replica, "batchSize", settings.BatchSize.String(),
		"qps", settings.KubeAPIQPS, "burst", settings.KubeAPIBurst, "databaseMaxConns", settings.DatabaseMaxConns)
	go func() { _ = made.checker.Start(ctx) }() // it returns only when the context has ended
	return made.startBounded(ctx, settings.ShutdownGracePeriod+shutdownMargin)
}

// made is what newManager makes.
type made struct {
	work
	checker *preflight.Checker
	replica string
}

// newManager builds the manager with every loop, none of them running.
func newManager(ctx context.Context, cluster *rest.Config, settings config.Config, database *store.Store, log logr.Logger) (*made, error) {
	bucket := limit.NewBucket(float64(settings.KubeAPIQPS), settings.KubeAPIBurst)
	bucket.OnWait, bucket.OnPause = gauge.APIWait, gauge.APIPause
	answers := &limit.Samples{}
	clients := newClients(cluster, bucket, answers)
	replica, err := replicaName(settings)
	if err != nil {
		return nil, err
	}
	asking, err := kubernetes.NewForConfig(clients.background)
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	checker := preflight.New(preflight.Config{
		Client: asking, Namespaces: settings.WatchNamespaces, Own: podNamespace(settings), LeaderElection: settings.LeaderElect,
		NamespacedOnly: !settings.ClusterScopedKinds, Log: log.WithName("preflight"),
	})
	mgr, err := makeManager(settings, clients, checker, replica, log)
	if err != nil {
		return nil, err
	}
	triggers := map[store.Lane]client.Client{}
	for lane, config := range clients.triggers {
		triggers[lane], err = argo.NewClient(config, client.Options{Scheme: scheme, Mapper: mgr.GetRESTMapper()})
		if err != nil {
			return nil, fmt.Errorf("create client of lane %s: %w", lane.Name(), err)
		}
	}
	if err := metrics.Registry.Register(gauge.Pool{Stat: database.Pool().Stat}); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	made := &made{work: work{start: mgr.Start}, checker: checker, replica: replica}
	migrator := newMigrator(database, log.WithName("migrate"))
	migrator.onStart = func() { made.begun.Store(true) }
	if err := mgr.Add(migrator); err != nil {
		return nil, fmt.Errorf("add migrations: %w", err)
	}
	return made, controllers.Add(ctx, gated{mgr, migrator.done}, controllers.Dependencies{
		Config: settings, Store: database, Bucket: bucket, TriggerClients: triggers, Answers: answers,
		Home:      clients.home,
		Namespace: podNamespace(settings), Replica: replica, Log: log,
	})
}

// makeManager makes the manager, with the leader's Lease and a cache that waits for
// nothing that Penstock may not read.
func makeManager(settings config.Config, clients clients, checker *preflight.Checker, replica string, log logr.Logger) (manager.Manager, error) {
	recorder := &lateRecorder{}
	lease, err := newLease(settings, replica, clients.lease, recorder)
	if err != nil {
		return nil, err
	}
	options := options(settings, lease, log)
	options.NewCache = func(_ *rest.Config, cacheOptions cache.Options) (cache.Cache, error) {
		inner, err := clients.newCache(cacheOptions)
		if err != nil {
			return nil, err
		}
		return newPatientCache(inner, checker.Unreadable, !settings.ClusterScopedKinds), nil
	}
	mgr, err := ctrl.NewManager(clients.background, options)
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	recorder.use(mgr, replica)
	return mgr, nil
}

// foreverSynced is for how long a controller waits for the kind that it watches: one that
// is missing is no reason to end what does not need it.
const foreverSynced = 100 * 365 * 24 * time.Hour

func options(settings config.Config, lease resourcelock.Interface, log logr.Logger) ctrl.Options {
	grace := settings.ShutdownGracePeriod + shutdownMargin
	duration, deadline, retry := leaseDuration, leaseDeadline, leaseRetry
	return ctrl.Options{
		Scheme:                              scheme,
		Logger:                              log,
		Cache:                               cacheOptions(settings),
		Metrics:                             metricsserver.Options{BindAddress: settings.MetricsBindAddress},
		HealthProbeBindAddress:              "0", // serveProbes says more
		LeaderElection:                      settings.LeaderElect,
		LeaderElectionID:                    leaderElectionID,
		LeaderElectionResourceLockInterface: lease,
		LeaderElectionReleaseOnCancel:       true,
		LeaseDuration:                       &duration,
		RenewDeadline:                       &deadline,
		RetryPeriod:                         &retry,
		GracefulShutdownTimeout:             &grace,
		Controller:                          ctrlconfig.Controller{CacheSyncTimeout: foreverSynced},
	}
}
