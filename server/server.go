// Package server answers questions about what Penstock does, over HTTP and with the
// caller's own rights. It reads Postgres and the target clusters, and writes nothing there but
// that a notification is to be sent, and what webhooks bring; at the API server it creates RunRequests
// in a caller's name, and holds CdPipelines and changes live limits with their token.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/client-go/kubernetes/typed/authentication/v1"
	authorizationv1 "k8s.io/client-go/kubernetes/typed/authorization/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/penstock-cd/penstock/pkg/config"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/loop"
	"github.com/penstock-cd/penstock/pkg/notify/route"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/api"
	"github.com/penstock-cd/penstock/server/bucket"
	"github.com/penstock-cd/penstock/server/cert"
	"github.com/penstock-cd/penstock/server/clusters"
	"github.com/penstock-cd/penstock/server/dashboard"
	"github.com/penstock-cd/penstock/server/hooks"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/namespaces"
	"github.com/penstock-cd/penstock/server/requests"
	"github.com/penstock-cd/penstock/server/rights"
	"github.com/penstock-cd/penstock/server/stream"
)

// Config is what a Server works with. Every field but Drain is required.
type Config struct {
	Settings config.Config
	// Namespace is where Penstock itself lives.
	Namespace string
	// Cluster is the API server that knows the callers.
	Cluster *rest.Config
	// Rows is the database. The server reads it, and changes nothing but what
	// api.Outbox says.
	Rows    *store.Store
	Version string
	// Drain is for how long requests are answered after the end of Run's context, before the
	// listeners are closed. It is a part of SHUTDOWN_GRACE_PERIOD. Defaults to none.
	Drain time.Duration
	Log   logr.Logger
}

// Server is the process behind `penstock server`.
type Server struct {
	config        Config
	listener      net.Listener
	hooks         net.Listener // nil where webhooks are not received
	receiving     *hooks.Handler
	authenticator *identity.Authenticator
	rights        *rights.Reviewer
	streams       *stream.Hub
	clusters      *clusters.Clusters
	backend       *api.Backend
	certificates  cert.Source
	ready         *readiness
	drain         *drain
	measures      *measures
	users         *bucket.Set
	failures      *bucket.Set
	lines         *bucket.Set          // of the log, about those who are not known
	dashboard     *dashboard.Dashboard // nil where it is switched off
	known         http.Handler         // answers those who are known
	loops         []*loop.Loop
	core          corev1.CoreV1Interface
}

// New returns a server that listens and answers nothing before Run.
func New(config Config) (*Server, error) {
	rows := view.New(config.Rows)
	known := namespaces.New(rows.Namespaces)
	s := &Server{
		config: config, ready: newReadiness(config.Rows.Ping, known.Refresh), measures: newMeasures(config.Rows.Pool().Stat),
		users: bucket.NewSet(maxBuckets), failures: bucket.NewSet(maxBuckets), lines: bucket.NewSet(maxBuckets),
	}
	s.drain = &drain{ready: s.ready, takes: config.Drain}
	if err := s.addReviews(); err != nil {
		return nil, err
	}
	if err := s.addClusters(); err != nil {
		return nil, err
	}
	s.streams = stream.New(stream.Config{
		Source: rows, Interval: streamInterval, Batch: streamBatch, Buffer: streamBuffer, CatchUps: streamCatchUps,
		Heartbeat: heartbeat, Recheck: recheck, WriteTimeout: streamWriteTimeout, Max: maxStreams, MaxPerUser: maxStreamsOfUser,
		Cursor: api.StreamCursor, OnStream: func(open int) { s.measures.streams.Set(float64(open)) }, Log: config.Log.WithName("stream"),
	})
	expressions, err := route.NewExpressions()
	if err != nil {
		return nil, fmt.Errorf("evaluate policies of notifications: %w", err)
	}
	home := rest.CopyConfig(config.Cluster)
	home.UserAgent = "penstock-server/" + config.Version
	writer, err := requests.New(requests.Config{Cluster: home, Rate: reviewRate, Burst: reviewBurst, Timeout: reviewTimeout})
	if err != nil {
		return nil, err
	}
	s.backend = &api.Backend{
		View: rows, Rights: s.rights, Namespaces: known, Streams: s.streams, Clusters: s.clusters, Outbox: config.Rows, Deliveries: config.Rows, Requests: writer, SettingsNamespace: config.Namespace, ForeignTokens: len(config.Settings.ServerTokenAudiences) > 0, Expressions: expressions, MaxPreviews: maxPreviews, Identify: s.identify, OnRefused: s.refused, RetryAfter: retryAfter, Log: config.Log,
	}
	s.addLoop("database", databaseInterval, s.ready.look)
	if err := s.addDashboard(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", config.Settings.ServerBindAddress)
	if err != nil {
		return nil, fmt.Errorf("listen at SERVER_BIND_ADDRESS: %w", err)
	}
	s.listener = newLimited(listener, maxConnections)
	if err := s.listenForHooks(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return s, nil
}

// addReviews makes what asks the API server.
func (s *Server) addReviews() error {
	cluster := rest.CopyConfig(s.config.Cluster)
	cluster.UserAgent = "penstock-server/" + s.config.Version
	cluster.QPS, cluster.Burst, cluster.Timeout = reviewRate, reviewBurst, reviewTimeout
	http, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return fmt.Errorf("reach the cluster: %w", err)
	}
	authentication, err := authenticationv1.NewForConfigAndClient(cluster, http)
	if err != nil {
		return fmt.Errorf("create client for TokenReviews: %w", err)
	}
	authorization, err := authorizationv1.NewForConfigAndClient(cluster, http)
	if err != nil {
		return fmt.Errorf("create client for SubjectAccessReviews: %w", err)
	}
	core, err := corev1.NewForConfigAndClient(cluster, http)
	if err != nil {
		return fmt.Errorf("create client for ConfigMaps and Secrets: %w", err)
	}
	s.core = core
	s.rights = rights.New(rights.Config{
		Client: authorization.SubjectAccessReviews(), Size: maxReviews, TTL: reviewTTL, Timeout: reviewTimeout,
		AtOnce: reviewsAtOnce, MaxNamespaces: maxNamespaces,
	})
	certificates := &identity.Certificates{Client: core.ConfigMaps(identity.AuthenticationNamespace), Timeout: reviewTimeout}
	s.authenticator = &identity.Authenticator{
		Tokens: identity.NewTokens(identity.TokensConfig{
			Client: authentication.TokenReviews(), Audiences: s.config.Settings.ServerTokenAudiences, Size: maxReviews, TTL: reviewTTL, Timeout: reviewTimeout,
		}),
		Certificates: certificates, Allowed: s.rights.Allowed,
	}
	s.addLoop("client-ca", clientCAInterval, func(ctx context.Context) (time.Duration, error) { return 0, certificates.Load(ctx) })
	s.certificates = s.newCertificates(core)
	return nil
}

// addClusters makes what reads the target clusters.
func (s *Server) addClusters() error {
	kinds, err := fleet.ParseKinds(s.config.Settings.ResourceKinds)
	if err != nil {
		return fmt.Errorf("RESOURCE_KINDS: %w", err)
	}
	home := rest.CopyConfig(s.config.Cluster)
	home.UserAgent, home.QPS = "penstock-server/"+s.config.Version, -1 // watches, and a Secret now and then
	s.clusters = clusters.New(clusters.Config{
		Home: home, Namespace: s.config.Namespace, Kinds: kinds, BatchSize: s.config.Settings.ResourceBatchSize, Retry: clustersRetry, Log: s.config.Log.WithName("clusters"),
	})
	return nil
}

// newCertificates takes the certificate from SERVER_TLS_DIR, or signs its own.
func (s *Server) newCertificates(core corev1.CoreV1Interface) cert.Source {
	published := cert.Publication{
		ConfigMaps: core.ConfigMaps(s.config.Namespace), Namespace: s.config.Namespace, URL: s.config.Settings.ServerURL, Timeout: reviewTimeout,
	}
	if dir := s.config.Settings.ServerTLSDir; dir != "" {
		files := &cert.Files{Dir: dir, Publication: published}
		s.addLoop("certificate", reloadInterval, files.Refresh)
		return files
	}
	own := &cert.SelfSigned{Secrets: core.Secrets(s.config.Namespace), Publication: published}
	s.addLoop("certificate", clientCAInterval, own.Refresh)
	return own
}

func (s *Server) addLoop(name string, interval time.Duration, run func(context.Context) (time.Duration, error)) {
	s.loops = append(s.loops, loop.New(loop.Config{
		Name: "server-" + name, Run: run, Interval: interval, Retry: time.Second, Jitter: 0.1, EveryReplica: true, Log: s.config.Log.WithName(name),
	}))
}

// Address is where the server listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Run answers until ctx ends and it has drained, and returns nil after the requests under way have
// been answered, or SHUTDOWN_GRACE_PERIOD is over. Streams end at once: their clients connect
// to another replica. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	stop := s.clusters.Start(context.WithoutCancel(ctx)) // until the requests under way were answered
	defer stop()
	group, running := errgroup.WithContext(ctx)
	for _, one := range s.loops {
		group.Go(func() error { return one.Start(running) })
	}
	group.Go(func() error { return s.streams.Start(running) })
	group.Go(func() error { return s.serve(running, s.listener, s.handler(), s.tls()) })
	if s.hooks != nil {
		group.Go(func() error { return s.serve(running, s.hooks, s.hooksHandler(), s.hooksTLS()) })
	}
	if address := s.config.Settings.MetricsBindAddress; address != "0" {
		group.Go(func() error { return s.serveMetricsAt(running, address) })
	}
	return group.Wait()
}

func (s *Server) serve(ctx context.Context, listener net.Listener, handler http.Handler, encrypted *tls.Config) error {
	server := &http.Server{
		Handler:           s.drain.closing(handler),
		TLSConfig:         encrypted,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: maxRequestsPerConnection},
		ErrorLog:       stdlog.New(quiet{s.config.Log.WithName("http")}, "", 0),
	}
	return s.until(ctx, server, func() error { return server.ServeTLS(listener, "", "") })
}

// tls asks for a client certificate and lets the handler judge it, since a token does as
// well.
func (s *Server) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert, GetCertificate: s.certificates.Certificate,
		NextProtos: []string{"h2", "http/1.1"},
	}
}

// until serves until ctx ends, and drains.
func (s *Server) until(ctx context.Context, server *http.Server, serve func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Settings.ShutdownGracePeriod)
	defer cancel()
	s.drain.run(grace)
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	if ended := <-ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// serveMetricsAt serves /metrics without TLS and for everybody, as the controller does:
// METRICS_BIND_ADDRESS=0 leaves it out.
func (s *Server) serveMetricsAt(ctx context.Context, address string) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics())
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen at METRICS_BIND_ADDRESS: %w", err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout}
	return s.until(ctx, server, func() error { return server.Serve(listener) })
}

// quiet logs what net/http says of single connections for those who look.
type quiet struct{ log logr.Logger }

// Write implements io.Writer.
func (q quiet) Write(line []byte) (int, error) {
	q.log.V(1).Info("connection failed", "problem", string(line))
	return len(line), nil
}
