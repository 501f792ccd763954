package env

import (
	"context"

	"k8s.io/client-go/kubernetes"
)

func (e *Environment) startControllerManager(ctx context.Context) error {
	return e.timed("kube-controller-manager", func() error { return e.runControllerManager(ctx) })
}

// runControllerManager runs the few controllers that anything here relies on.
// None of those that manage nodes: kwok's nodes send no heartbeat.
func (e *Environment) runControllerManager(ctx context.Context) error {
	path, err := Part("kube-controller-manager")
	if err != nil {
		return err
	}
	kubeconfig, err := e.KubeconfigFor(controllerManagerUser)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		return err
	}
	p, err := e.spawn(tierClients, command{name: "kube-controller-manager", path: path, args: []string{
		"--kubeconfig=" + kubeconfig,
		"--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller,deployment-controller,replicaset-controller,resourcequota-controller",
		"--service-account-private-key-file=" + e.serviceAccountKey(),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	}})
	if err != nil {
		return err
	}
	return p.until(ctx, func(ctx context.Context) error {
		return hasDefaultServiceAccount(ctx, client, "default")
	})
}
