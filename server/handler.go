package server

import (
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/penstock-cd/penstock/server/api"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/problem"
	"github.com/penstock-cd/penstock/server/stream"
)

// handler answers every request: /healthz, /readyz, the OpenAPI document, and the sign-in of
// the dashboard for everybody, all else for those who are known.
func (s *Server) handler() http.Handler {
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", alive)
	open.Handle("GET /readyz", s.ready)
	for _, document := range []string{"GET /openapi.json", "GET /openapi.yaml"} {
		open.Handle(document, s.known)
	}
	rest := s.identified(s.known)
	if s.dashboard != nil {
		rest = s.dashboard.Handler(rest)
	}
	open.Handle("/", rest)
	return s.within(s.measured(stream.Outermost(bounded(open))))
}

// within serves also the API under the base path of the dashboard, since both have one URL. A
// path of the API itself is never cut.
func (s *Server) within(next http.Handler) http.Handler {
	if s.dashboard == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/v1/") {
			r = s.dashboard.Within(r)
		}
		next.ServeHTTP(w, r)
	})
}

// measured counts requests by the pattern that matched, and answers a panic with 500.
func (s *Server) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := &recorder{ResponseWriter: w}
		defer func() {
			if panicked := recover(); panicked != nil {
				s.config.Log.Error(fmt.Errorf("panic: %v", panicked), "panic caught", "path", r.URL.Path, "stack", string(debug.Stack()))
				if answer.status == 0 {
					problem.Write(answer, problem.New(http.StatusInternalServerError, "the server failed; its log has the reason"))
				}
			}
			route := routeOf(r)
			s.measures.requests.WithLabelValues(route, strconv.Itoa(max(answer.status, http.StatusOK))).Inc()
			if answer.Header().Get("Content-Type") != "text/event-stream" {
				s.measures.durations.WithLabelValues(route).Observe(time.Since(began).Seconds())
			}
		}()
		next.ServeHTTP(answer, r)
	})
}

// routeOf is the pattern that answered, of which there are few.
func routeOf(r *http.Request) string {
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found || path == "/" {
		return "other"
	}
	return path
}

// recorder knows the status of an answer.
type recorder struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(text []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(text)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// bounded refuses what is too large before anybody looks at it.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if len(r.RequestURI) > maxURLBytes {
			problem.Write(w, problem.New(http.StatusRequestURITooLong, fmt.Sprintf("the path and query are longer than %d bytes", maxURLBytes)))
			return
		}
		if r.ContentLength > maxBodyBytes {
			problem.Unread(w, r)
			problem.Write(w, problem.New(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has %d bytes, and at most %d are read", r.ContentLength, maxBodyBytes)))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		next.ServeHTTP(w, r)
	})
}

// identified lets those in who are known, within their rate.
func (s *Server) identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := s.identify(r)
		if err == nil {
			err = s.admit(user)
		}
		if err != nil {
			if problem.Status(err) == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="penstock"`)
			}
			problem.Write(w, err)
			return
		}
		inner := api.WithRequest(r.WithContext(identity.With(r.Context(), user)))
		next.ServeHTTP(w, inner)
		r.Pattern = inner.Pattern // of the mux inside, for the metrics
	})
}

// identify finds out who sends a request. An address whose tokens the API server refuses again
// and again waits. Only guesses count, and wait: behind a proxy all have one address, and there
// nobody may hold back those whose token was valid before.
func (s *Server) identify(r *http.Request) (identity.User, error) {
	address, now, isGuess := addressOf(r), time.Now(), s.authenticator.IsGuess(r)
	if isGuess && s.failures.IsEmpty(address, failureRate, now) {
		return identity.User{}, problem.Later(http.StatusTooManyRequests, time.Second, "too many requests without valid credentials came from "+address+": try again later")
	}
	user, err := s.authenticator.Identify(r)
	var refused *identity.RefusedError
	switch {
	case err == nil:
		return user, nil
	case asRefused(err, &refused):
		if isGuess {
			s.failures.Take(address, failureRate, now)
		}
		s.refused(r, identity.User{Name: refused.User}, err)
		return identity.User{}, problem.New(refused.Status, refused.Detail)
	}
	s.config.Log.Error(err, "credentials not reviewed, the API server is away", "path", r.URL.Path)
	return identity.User{}, problem.Later(http.StatusServiceUnavailable, retryAfter, "the API server does not answer, so that nobody knows whether the credentials are valid: try again later")
}

// admit holds a user to their rate, and everybody back until the server is ready.
func (s *Server) admit(user identity.User) error {
	if wait, ok := s.users.Take(user.Name, userRate, time.Now()); !ok {
		return problem.Later(http.StatusTooManyRequests, wait, fmt.Sprintf("user %q sends more than %d requests per second: try again later", user.Name, int(userRate.PerSecond)))
	}
	if why := s.ready.why(); why != "" {
		return problem.Later(http.StatusServiceUnavailable, retryAfter, "the server is not ready: "+why)
	}
	return nil
}

// refused writes the line that an audit looks for. Who is not known can't fill the log.
func (s *Server) refused(r *http.Request, user identity.User, err error) {
	s.measures.refusals.WithLabelValues(strconv.Itoa(statusOf(err))).Inc()
	if user.Name == "" {
		if _, ok := s.lines.Take(addressOf(r), failureRate, time.Now()); !ok {
			return
		}
	}
	s.config.Log.Info("request refused", "user", user.Name, "impersonator", user.Impersonator, "groups", user.Groups,
		"method", r.Method, "path", r.URL.Path, "address", addressOf(r), "status", statusOf(err), "reason", err.Error())
}

func statusOf(err error) int {
	var refused *identity.RefusedError
	if asRefused(err, &refused) {
		return refused.Status
	}
	return http.StatusForbidden
}

func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// serveMetrics needs the right to get the path /metrics, as the API server's own do.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	user, err := identity.From(r.Context())
	if err != nil {
		problem.Write(w, err)
		return
	}
	allowed, err := s.rights.AllowedPath(r.Context(), user, "/metrics")
	if err != nil {
		s.config.Log.Error(err, "rights not reviewed, the API server is away", "path", r.URL.Path)
		problem.Write(w, problem.Later(http.StatusServiceUnavailable, retryAfter, "the API server does not answer: try again later"))
		return
	}
	if !allowed {
		err := fmt.Errorf("user %q may not get the path /metrics: bind a ClusterRole with nonResourceURLs [/metrics]", user.Name)
		s.refused(r, user, err)
		problem.Write(w, problem.New(http.StatusForbidden, err.Error()))
		return
	}
	s.metrics().ServeHTTP(w, r)
}

func (s *Server) metrics() http.Handler {
	return promhttp.HandlerFor(s.measures.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// notFound answers what no pattern matches: 405 where another method is served.
func notFound(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" {
				w.Header().Set("Allow", method)
				problem.Write(w, problem.New(http.StatusMethodNotAllowed, "the path is served by "+method+" alone"))
				return
			}
		}
		problem.Write(w, problem.New(http.StatusNotFound, "the path is not served: /openapi.json lists those that are"))
	}
}
