package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/test/env"
)

// parts are what the demo runs.
var parts = env.Options{
	ControllerManager: true, Argo: true, Audit: true,
	Progress: func(line string) { fmt.Println("  " + line) },
}

func runCommand(command *cobra.Command, _ []string) (err error) {
	ctx := command.Context()
	fmt.Println("Starting etcd, kube-apiserver, kube-controller-manager, Argo's workflow-controller and Postgres")
	local, err := env.Start(ctx, parts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, local.Stop()) }()
	_, err = play(ctx, local)
	return err
}

// upDir holds what up leaves for down, one for each working tree.
func upDir() (string, error) { return filepath.Abs(filepath.Join("bin", "demo")) }

func upCommand(command *cobra.Command, _ []string) error {
	dir, err := upDir()
	if err != nil {
		return err
	}
	if _, err := env.Attach(dir); err == nil {
		return errors.New("a demo is up already: make demo-down ends it")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder for the demo: %w", err)
	}
	detached := parts
	detached.Detached, detached.Dir = true, dir
	fmt.Println("Starting etcd, kube-apiserver, kube-controller-manager, Argo's workflow-controller and Postgres")
	local, err := env.Start(command.Context(), detached)
	if err != nil {
		return err
	}
	played, err := play(command.Context(), local)
	if err != nil {
		return errors.Join(err, local.Stop())
	}
	printHowToPlay(local, played.hooksURL)
	return nil
}

func printHowToPlay(local *env.Environment, hooksURL string) {
	fmt.Printf(`
Everything is still running. To play with it:

  export KUBECONFIG=%s
  export DATABASE_URL='%s'
  export PATH=$PWD/bin:$PATH
  kubectl -n %s get cibuilds,cdpipelines
  kubectl -n %s describe cibuild %s
  kubectl -n %s get baseimages,cipipelines,receivers
  kubectl penstock status %s -n %s
  kubectl penstock clusters
  kubectl penstock get pods,deploy -A --clusters all
  psql "$DATABASE_URL" -c 'SELECT outcome, reason, count(*) FROM penstock.trigger_decision GROUP BY 1, 2'

Webhooks are received at %s, and the path of a Receiver.
make demo-down ends it.
`, local.Kubeconfig, env.PlaygroundURL(local.DatabaseURL), namespace, namespace, buildName, namespace, cart, namespace, hooksURL)
}

func downCommand(*cobra.Command, []string) error {
	dir, err := upDir()
	if err != nil {
		return err
	}
	local, err := env.Attach(dir)
	if errors.Is(err, os.ErrNotExist) {
		fmt.Println("No demo is up.")
		return nil
	}
	if err != nil {
		return err
	}
	if err := local.Stop(); err != nil {
		return err
	}
	fmt.Println("The demo has ended.")
	return os.RemoveAll(dir)
}

// play is the demo itself, on parts that run.
func play(ctx context.Context, local *env.Environment) (*facts, error) {
	stage, err := newStage(ctx, local)
	if err != nil {
		return nil, err
	}
	defer stage.close()
	fmt.Println("Starting the controller, with the rights of config/rbac and default limits")
	if err := local.InstallController(ctx); err != nil {
		return nil, err
	}
	if err := readHome(ctx, local); err != nil {
		return nil, err
	}
	if _, err := local.StartController(ctx, env.ControllerOptions{Env: []string{rebuildsReach}}); err != nil {
		return nil, err
	}
	if err := stage.applySamples(ctx, local); err != nil {
		return nil, err
	}
	if err := stage.createChildren(ctx); err != nil {
		return nil, err
	}
	if err := stage.settle(ctx); err != nil {
		return nil, err
	}
	finished, err := stage.finishBuild(ctx)
	if err != nil {
		return nil, err
	}
	if err := stage.watch(ctx); err != nil {
		return nil, err
	}
	facts, err := stage.gather(ctx, finished)
	if err != nil {
		return nil, err
	}
	if err := stage.addClusters(ctx, local); err != nil {
		return nil, err
	}
	if facts.steered, err = stage.steer(ctx); err != nil {
		return nil, err
	}
	if facts.rebuilds, err = stage.rebuild(ctx); err != nil {
		return nil, err
	}
	if err := stage.serve(ctx, local, facts); err != nil {
		return nil, err
	}
	err = facts.print()
	return facts, err
}

// serve starts the server, has it take a webhook, and asks it as people do.
func (s *stage) serve(ctx context.Context, local *env.Environment, f *facts) error {
	server, err := startServer(ctx, local)
	if err != nil {
		return err
	}
	f.hooksURL = server.HooksURL
	if f.pushed, err = s.push(ctx, local, server); err != nil {
		return err
	}
	f.seen, err = s.show(ctx, local)
	return err
}
