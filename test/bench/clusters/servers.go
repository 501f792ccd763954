package clusters

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/bounded"
	"github.com/penstock-cd/penstock/test/bench/fixture"
	"github.com/penstock-cd/penstock/test/env"
)

// startAtOnce is how many servers start at once.
const startAtOnce = 2

// server is a real API server that some lanes share.
type server struct {
	*fixture.Cluster
	uid   string // that of kube-system
	proxy *httputil.ReverseProxy
}

func startServers(ctx context.Context) ([]*server, error) {
	results := bounded.Map(ctx, startAtOnce, 0, make([]struct{}, realServers), func(ctx context.Context, _ struct{}) (*server, error) {
		return startServer(ctx)
	})
	var all []*server
	var errs []error
	for _, result := range results {
		errs = append(errs, result.Err)
		if result.Value != nil {
			all = append(all, result.Value)
		}
	}
	return all, errors.Join(errs...)
}

func startServer(ctx context.Context) (*server, error) {
	parts, err := env.Start(ctx, env.Options{WithoutPostgres: true})
	if err != nil {
		return nil, err
	}
	s := &server{}
	if s.Cluster, err = fixture.New(parts); err != nil {
		return nil, errors.Join(err, parts.Stop())
	}
	var namespace corev1.Namespace
	err = errors.Join(s.InstallController(ctx), s.Client.Get(ctx, types.NamespacedName{Name: metav1.NamespaceSystem}, &namespace))
	if err == nil {
		s.proxy, err = newProxy(parts.Config)
	}
	if err != nil {
		return nil, errors.Join(err, parts.Stop())
	}
	s.uid = string(namespace.UID)
	return s, nil
}

func (s *server) stop() error {
	if transport, is := s.proxy.Transport.(*http.Transport); is {
		transport.CloseIdleConnections()
	}
	return s.Stop()
}
