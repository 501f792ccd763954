package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/server/hooks"
)

// listenForHooks opens the port that webhooks are sent to: one of its own, so that it can be
// exposed and the API not.
func (s *Server) listenForHooks() error {
	address := s.config.Settings.WebhookBindAddress
	if address == "0" || address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen at WEBHOOK_BIND_ADDRESS: %w", err)
	}
	s.hooks = newLimited(listener, maxConnections)
	s.addHooks()
	return nil
}

// HooksAddress is where webhooks are received; empty where they are not.
func (s *Server) HooksAddress() string {
	if s.hooks == nil {
		return ""
	}
	return s.hooks.Addr().String()
}

// hooksTLS is that of the API, but that nobody is asked for a certificate.
func (s *Server) hooksTLS() *tls.Config {
	config := s.tls()
	config.ClientAuth = tls.NoClientCert
	return config
}

// addHooks makes what receives webhooks.
func (s *Server) addHooks() {
	s.receiving = hooks.New(hooks.Config{
		Rows: s.config.Rows, RetryAfter: retryAfter, Log: s.config.Log.WithName("hooks"),
		// The server may read Secrets only in namespaces that have bound it to the ClusterRole
		// penstock-webhooks.
		Secret: func(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
			return s.core.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		OnAnswer: func(kind string, status int, took time.Duration) {
			s.measures.hooks.WithLabelValues(kind, strconv.Itoa(status)).Inc()
			if status == http.StatusAccepted {
				s.measures.hookDurations.WithLabelValues(kind).Observe(took.Seconds())
			}
		},
	})
	s.addLoop("receivers", hooks.LookInterval, func(ctx context.Context) (time.Duration, error) {
		if s.ready.why() != "" {
			return 0, nil // there may be no tables yet
		}
		return s.receiving.Look(ctx)
	})
}

func (s *Server) hooksHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", alive)
	mux.Handle("/", s.receiving)
	return mux
}
