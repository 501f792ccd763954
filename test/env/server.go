package env

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// ServerOptions says how a Server runs.
type ServerOptions struct {
	// DatabaseURL defaults to the environment's own.
	DatabaseURL string
	// Name is that of its log, and must differ between servers that run at once. Defaults
	// to penstock-server.
	Name string
	// Binary is the file in bin/. Defaults to penstock.
	Binary string
	// Cluster is how it reaches the API server. Defaults to PenstockServer's own
	// configuration.
	Cluster *rest.Config
	// Env is added to the process's environment. Of two values of a variable the last one
	// counts.
	Env []string
}

// Server is `bin/penstock server` as a process of its own, with exactly the rights that
// config/server grants.
type Server struct {
	// URL is where it answers.
	URL string
	// CA signed its certificate. In PEM, as published in the ConfigMap penstock-server of
	// ControllerNamespace.
	CA []byte
	// MetricsURL is where it serves /metrics.
	MetricsURL string
	// HooksURL is where it receives webhooks; the path of a Receiver follows.
	HooksURL string
	process  *process
}

// InstallServer applies config/server, without which the server may do nothing.
func (e *Environment) InstallServer(ctx context.Context) error {
	if err := e.InstallController(ctx); err != nil { // creates the namespace
		return err
	}
	return e.install(ctx, "server")
}

// StartServer starts bin/penstock as a server and returns when it is ready for who trusts
// the CA that it publishes. It is ended by Environment.Stop at the latest.
func (e *Environment) StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	path, err := Part(cmp.Or(o.Binary, "penstock"))
	if err != nil {
		return nil, err
	}
	name := cmp.Or(o.Name, "penstock-server")
	kubeconfig := filepath.Join(e.Dir, name+".kubeconfig")
	if err := writeKubeconfig(kubeconfig, cmp.Or(o.Cluster, e.ConfigFor(PenstockServer))); err != nil {
		return nil, fmt.Errorf("write kubeconfig of %s: %w", name, err)
	}
	listen, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	metrics, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	hooks, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	p, err := e.spawn(tierClients, command{
		name: name, path: path, args: []string{"server"},
		env: append([]string{
			"KUBECONFIG=" + kubeconfig, "DATABASE_URL=" + cmp.Or(o.DatabaseURL, e.DatabaseURL),
			"SERVER_BIND_ADDRESS=" + listen.address(), "SERVER_URL=https://" + listen.address(), "METRICS_BIND_ADDRESS=" + metrics.address(), "WEBHOOK_BIND_ADDRESS=" + hooks.address(), "POD_NAMESPACE=" + ControllerNamespace,
		}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "https://" + listen.address(), MetricsURL: "http://" + metrics.address() + "/metrics", HooksURL: "https://" + hooks.address(), process: p}
	if err := s.waitReady(ctx, e); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, e.saveState()
}

// waitReady reads the CA in each round: a server that is starting publishes its own.
func (s *Server) waitReady(ctx context.Context, e *Environment) error {
	kube, err := kubernetes.NewForConfig(e.Config)
	if err != nil {
		return err
	}
	return s.process.until(ctx, func(ctx context.Context) error {
		published, err := kube.CoreV1().ConfigMaps(ControllerNamespace).Get(ctx, "penstock-server", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s.CA = []byte(published.Data["ca.crt"])
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.Roots()}}
		defer transport.CloseIdleConnections()
		return httpOK(ctx, &http.Client{Timeout: readyTimeout, Transport: transport}, s.URL+"/readyz")
	})
}

// Roots are the authorities that its clients trust.
func (s *Server) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	return roots
}

// HooksAddress is that of HooksURL alone.
func (s *Server) HooksAddress() string { return strings.TrimPrefix(s.HooksURL, "https://") }

// Log is the path of its log.
func (s *Server) Log() string { return s.process.log }

// Stop ends it with SIGTERM and waits.
func (s *Server) Stop() error { return s.process.stop() }

// Kill ends it at once, with SIGKILL, and waits.
func (s *Server) Kill() error {
	if err := s.process.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.process.done
	return nil
}

// PID is its process id.
func (s *Server) PID() int { return s.process.handle.Pid }
