package env

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
)

// ServerOptions says how a Server runs.
type ServerOptions struct {
	// DatabaseURL defaults to the environment's own.
	DatabaseURL string
	// Name is that of its log, and must differ between servers that run at once. Defaults
	// to penstock-server.
	Name string
	// Env is added to the process's environment. Of two values of a variable the last one
	// counts.
	Env []string
}

// Server is `bin/penstock server` as a process of its own, with exactly the rights that
// config/server grants.
type Server struct {
	// URL is where it answers. Its certificate is self-signed: the CA is in the ConfigMap
	// penstock-server of ControllerNamespace.
	URL string
	// MetricsURL is where it serves /metrics.
	MetricsURL string
	process    *process
}

// InstallServer applies config/server, without which the server may do nothing.
func (e *Environment) InstallServer(ctx context.Context) error {
	if err := e.InstallController(ctx); err != nil { // creates the namespace
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	e.installing.Lock()
	defer e.installing.Unlock()
	_, err = e.Kubectl(ctx, "apply", "-k", filepath.Join(root, "config", "server"))
	return err
}

// StartServer starts bin/penstock as a server and returns when it is ready. It is ended by
// Environment.Stop at the latest.
func (e *Environment) StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	path, err := Part("penstock")
	if err != nil {
		return nil, err
	}
	name := cmp.Or(o.Name, "penstock-server")
	kubeconfig := filepath.Join(e.Dir, name+".kubeconfig")
	if err := writeKubeconfig(kubeconfig, e.ConfigFor(PenstockServer)); err != nil {
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
	p, err := e.spawn(tierClients, command{
		name: name, path: path, args: []string{"server"},
		env: append([]string{
			"KUBECONFIG=" + kubeconfig, "DATABASE_URL=" + cmp.Or(o.DatabaseURL, e.DatabaseURL),
			"SERVER_BIND_ADDRESS=" + listen.address(), "SERVER_URL=https://" + listen.address(), "METRICS_BIND_ADDRESS=" + metrics.address(), "POD_NAMESPACE=" + ControllerNamespace,
		}, o.Env...),
	})
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "https://" + listen.address(), MetricsURL: "http://" + metrics.address() + "/metrics", process: p}
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, e.saveState()
}

func (s *Server) waitReady(ctx context.Context) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // only whether it is ready is asked
	defer transport.CloseIdleConnections()
	client := &http.Client{Timeout: readyTimeout, Transport: transport}
	return s.process.until(ctx, func(ctx context.Context) error { return httpOK(ctx, client, s.URL+"/readyz") })
}

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
