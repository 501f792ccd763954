package env

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// ExitCodeLabel on a pod, through the template's metadata, makes its main
	// container end with that exit code and the pod fail. Without it the pod
	// succeeds.
	ExitCodeLabel = "penstock.dev/test-exit-code"
	// DurationAnnotation on a pod is how long its main container runs, as a
	// Go duration. Defaults to no time at all.
	DurationAnnotation = "penstock.dev/test-duration"

	nodeName = "kwok"
)

// kwokStages tells how kwok plays kubelet, for a pod of Argo from Pending over
// Running to its end.
//
//go:embed kwok.yaml
var kwokStages []byte

func (e *Environment) startKwok(ctx context.Context) error {
	return e.timed("kwok", func() error { return e.runKwok(ctx) })
}

func (e *Environment) runKwok(ctx context.Context) error {
	path, err := Part("kwok")
	if err != nil {
		return err
	}
	kubeconfig, err := e.KubeconfigFor(kwokUser)
	if err != nil {
		return err
	}
	stages := filepath.Join(e.data, "kwok.yaml")
	if err := os.WriteFile(stages, kwokStages, 0o600); err != nil {
		return fmt.Errorf("write stages: %w", err)
	}
	client, err := e.createNode(ctx)
	if err != nil {
		return err
	}
	p, err := e.spawn(tierClients, command{name: "kwok", path: path, args: []string{
		"--kubeconfig=" + kubeconfig,
		"--config=" + stages,
		"--manage-all-nodes",
		// No lease, so the node is ours at once; no server, so no port.
		"--node-lease-duration-seconds=0",
		"--node-port=0",
	}})
	if err != nil {
		return err
	}
	return p.until(ctx, func(ctx context.Context) error { return nodeReady(ctx, client) })
}

func (e *Environment) createNode(ctx context.Context) (kubernetes.Interface, error) {
	client, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		return nil, err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	if _, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return nil, fmt.Errorf("create node: %w", err)
	}
	return client, nil
}

func nodeReady(ctx context.Context, client kubernetes.Interface) error {
	node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("its node is not ready")
}
