package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/server"
)

func serverCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "server",
		Short: "Run the HTTP API and the dashboard",
		Long: "Answer questions about builds, runs and the queue over HTTP, with the caller's own rights, until\n" +
			"SIGTERM or SIGINT. It reads Postgres and the target clusters, keeps what webhooks bring, and migrates nothing: it is not ready before the controller has.\n" +
			"It is configured from the environment; of these, DASHBOARD*, DATABASE_URL, DATABASE_MAX_CONNS and\n" +
			"DATABASE_SCHEMA, LOG_*, METRICS_BIND_ADDRESS, OIDC_*, OUTBOUND_PROXY, POD_NAMESPACE, RESOURCE_*, SHUTDOWN_GRACE_PERIOD, SERVER_* and WEBHOOK_* count:\n\n" +
			config.Describe() + "\n" +
			"The cluster is the one that it runs in, or that of --kubeconfig, or of $KUBECONFIG.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return runServer(command.Context()) },
	}
	command.Flags().AddGoFlagSet(flag.CommandLine) // --kubeconfig of controller-runtime
	return command
}

// drainTime is for how long the server answers after SIGTERM: longer than it takes until
// Kubernetes sends requests to other replicas alone.
const drainTime = 3 * time.Second

func runServer(ctx context.Context) error {
	boundMemory(os.DirFS("/"))
	go boundGarbage(ctx)
	if err := failpoint.Enable(os.Getenv(failpoint.Variable)); err != nil {
		return err
	}
	settings, _, err := config.FromProcess() // its warnings are about the controller
	if err != nil {
		return err
	}
	log, err := newLogger(settings)
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	namespace := podNamespace(settings)
	if namespace == "" {
		return errors.New("the namespace that the server's address is published in is not known outside a pod: set POD_NAMESPACE")
	}
	cluster, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the cluster: %w", err)
	}
	wanted := databaseOf(settings)
	wanted.ReadOnly, wanted.ApplicationName, wanted.OnAcquire = true, "penstock-server", nil
	database, err := store.Open(ctx, wanted)
	if err != nil {
		return err
	}
	defer database.Close()
	answering, err := server.New(server.Config{
		Settings: settings, Namespace: namespace, Cluster: cluster, Rows: database, Version: version, Drain: drainTime, Log: log,
	})
	if err != nil {
		return err
	}
	log.Info("starting server", "version", version, "address", answering.Address(), "webhooks", answering.HooksAddress(), "databaseMaxConns", settings.DatabaseMaxConns)
	return answering.Run(ctx)
}
