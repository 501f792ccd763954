package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	apiv1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/penstock-cd/penstock/pkg/tune"
)

const (
	// metricsTimeout bounds one answer of the controller, and the way to it.
	metricsTimeout = 10 * time.Second
	// maxMetrics bounds what is read of it.
	maxMetrics = 8 << 20
	// metricsPort is the controller's where its pod does not name another.
	metricsPort = 8080
)

// controllerMetrics is a way to the metrics of the controller that leads. They do not come
// through penstock server, which reads Postgres alone and has no right to reach the
// controller: they are the user's to read, by a port-forward or at an address.
type controllerMetrics struct {
	url    string
	client *http.Client
	close  func()
}

// controllerMetrics opens it: at an address that the user has named, or else by a
// port-forward to the pod that leads, which needs the right to list pods and to create
// pods/portforward there.
func (o *options) controllerMetrics(ctx context.Context, address string) (*controllerMetrics, error) {
	plain := &http.Client{Timeout: metricsTimeout, CheckRedirect: noRedirect}
	if address != "" {
		if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
			return nil, usage("--metrics %s: must be a URL, such as http://localhost:8080/metrics", address)
		}
		return &controllerMetrics{url: address, client: plain, close: func() {}}, nil
	}
	cluster, _, err := o.cluster()
	if err != nil {
		return nil, err
	}
	reader, err := clientOfCluster(cluster)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	pod, err := installation{reader, o.serverNamespace}.leader(ctx)
	if err != nil {
		return nil, err
	}
	if pod == nil {
		return nil, errors.New("no pod of the controller is in namespace " + o.serverNamespace)
	}
	core, err := corev1.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	local, end, err := forwardTo(ctx, cluster, core, client.ObjectKeyFromObject(pod), metricsPortOf(pod))
	if err != nil {
		return nil, err
	}
	return &controllerMetrics{url: fmt.Sprintf("http://127.0.0.1:%d/metrics", local), client: plain, close: end}, nil
}

func metricsPortOf(pod *apiv1.Pod) int32 {
	for _, port := range controllerOf(pod).Ports {
		if port.Name == "metrics" {
			return port.ContainerPort
		}
	}
	return metricsPort
}

// read is what they say now.
func (m *controllerMetrics) read(ctx context.Context) (tune.Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, http.NoBody)
	if err != nil {
		return tune.Snapshot{}, fmt.Errorf("read the controller's metrics: %w", err)
	}
	response, err := m.client.Do(request)
	if err != nil {
		return tune.Snapshot{}, fmt.Errorf("read the controller's metrics at %s: %w", m.url, unwrapped(err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return tune.Snapshot{}, fmt.Errorf("read the controller's metrics at %s: it answered %s", m.url, response.Status)
	}
	return tune.Read(io.LimitReader(response.Body, maxMetrics))
}
