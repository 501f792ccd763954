package server

import (
	"net/http"

	"k8s.io/utils/clock"

	"github.com/penstock-cd/penstock/server/api"
	"github.com/penstock-cd/penstock/server/dashboard"
)

// addDashboard makes what answers those who are known, and the pages that ask it.
func (s *Server) addDashboard() (err error) {
	known := http.NewServeMux()
	api.Register(known, s.config.Version, s.backend)
	known.HandleFunc("GET /metrics", s.serveMetrics)
	known.HandleFunc("/", notFound(known))
	s.known = known
	settings := s.config.Settings
	if !settings.Dashboard {
		return nil
	}
	s.dashboard, err = dashboard.New(dashboard.Config{
		BasePath: settings.DashboardBasePath, SessionKey: s.sessionKey, SessionLifetime: settings.DashboardSessionLifetime,
		Anonymous: settings.DashboardAnonymous, API: known, Identify: s.identify, Rights: s.rights, Admit: s.admit, RetryAfter: retryAfter,
		Version: s.config.Version, Clock: clock.RealClock{}, Log: s.config.Log.WithName("dashboard"),
	})
	return err
}

// sessionKey is the configured one, or the key of the certificate, or of the CA that signed it:
// all replicas have that from one Secret.
func (s *Server) sessionKey() []byte {
	if key := s.config.Settings.DashboardSessionKey.Reveal(); key != "" {
		return []byte(key)
	}
	return s.certificates.SharedKey()
}
