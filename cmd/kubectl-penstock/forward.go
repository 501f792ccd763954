package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	apiv1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// serverPort is where a pod of the server listens.
const serverPort = 8443

// forward opens a port-forward to a pod of the server that is ready, and returns the local
// port and what ends it.
func (o *options) forward(ctx context.Context, cluster *rest.Config, core corev1.CoreV1Interface) (local uint16, end func(), err error) {
	pod, err := o.pod(ctx, core)
	if err != nil {
		return 0, nil, err
	}
	return forwardTo(ctx, cluster, core, types.NamespacedName{Namespace: o.serverNamespace, Name: pod}, serverPort)
}

// forwardTo opens a port-forward to a port of a pod, and returns the local port and what
// ends it.
func forwardTo(ctx context.Context, cluster *rest.Config, core corev1.CoreV1Interface, pod types.NamespacedName, port int32) (local uint16, end func(), err error) {
	transport, upgrader, err := spdy.RoundTripperFor(cluster)
	if err != nil {
		return 0, nil, fmt.Errorf("open a port-forward: %w", err)
	}
	target := core.RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return 0, nil, fmt.Errorf("open a port-forward: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case err := <-ended:
		return 0, nil, fmt.Errorf("open a port-forward to pod %s, which needs the right to create pods/portforward there: %w", pod, err)
	case <-ctx.Done():
		close(stop)
		return 0, nil, ctx.Err()
	case <-ready:
	}
	end = func() {
		close(stop)
		if err := <-ended; err != nil {
			return // that it was ended is no error
		}
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) == 0 {
		end()
		return 0, nil, errors.New("open a port-forward: no local port is free")
	}
	return ports[0].Local, end, nil
}

func (o *options) pod(ctx context.Context, core corev1.CoreV1Interface) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	pods, err := core.Pods(o.serverNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=penstock-server"})
	if err != nil {
		return "", fmt.Errorf("find a pod of penstock server for a port-forward: %w: set SERVER_URL of the server, or --server", err)
	}
	for _, pod := range pods.Items {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == apiv1.PodReady && condition.Status == apiv1.ConditionTrue {
				return pod.Name, nil
			}
		}
	}
	return "", fmt.Errorf("none of the %d pods of penstock server in namespace %s is ready: kubectl -n %s get pods", len(pods.Items), o.serverNamespace, o.serverNamespace)
}
