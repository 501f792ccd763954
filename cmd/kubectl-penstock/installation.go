package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// controllerName is the label app.kubernetes.io/name of the controller's pods, and the
	// start of the name of its Lease.
	controllerName = "penstock"
	leaseName      = "penstock-controller"
)

// installation is what runs in the namespace --server-namespace, as far as the user may
// read it.
type installation struct {
	cluster   client.Client
	namespace string
}

// controllers are the pods of the controller.
func (i installation) controllers(ctx context.Context) ([]corev1.Pod, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var pods corev1.PodList
	err := i.cluster.List(ctx, &pods, client.InNamespace(i.namespace), client.MatchingLabels{"app.kubernetes.io/name": controllerName})
	if err != nil {
		return nil, fmt.Errorf("list the pods of the controller: %w", err)
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return controllerOf(&pod) == nil }), nil
}

// controllerOf is the container of a pod that runs the controller; nil where none does.
func controllerOf(pod *corev1.Pod) *corev1.Container {
	for i, container := range pod.Spec.Containers {
		if slices.Contains(container.Args, "controller") {
			return &pod.Spec.Containers[i]
		}
	}
	return nil
}

// lease is the leader's.
func (i installation) lease(ctx context.Context) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	lease := &coordinationv1.Lease{}
	if err := i.cluster.Get(ctx, client.ObjectKey{Namespace: i.namespace, Name: leaseName}, lease); err != nil {
		return nil, fmt.Errorf("get the leader's Lease: %w", err)
	}
	return lease, nil
}

// leader is the pod that leads. Where the Lease is not readable, or names none of them, it
// is the first; nil where there is none.
func (i installation) leader(ctx context.Context) (*corev1.Pod, error) {
	pods, err := i.controllers(ctx)
	if err != nil || len(pods) == 0 {
		return nil, err
	}
	lease, err := i.lease(ctx)
	if err != nil || lease.Spec.HolderIdentity == nil {
		return &pods[0], nil //nolint:nilerr // all replicas have the same environment; each serves metrics
	}
	for n := range pods {
		if strings.HasPrefix(*lease.Spec.HolderIdentity, pods[n].Name+"_") {
			return &pods[n], nil
		}
	}
	return &pods[0], nil
}
