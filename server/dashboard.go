package server

import (
	"net/http"

	"k8s.io/utils/clock"

	"github.com/penstock-cd/penstock/server/api"
	"github.com/penstock-cd/penstock/server/dashboard"
	"github.com/penstock-cd/penstock/server/oidc"
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
	provider, err := s.newProvider()
	if err != nil {
		return err
	}
	s.dashboard, err = dashboard.New(dashboard.Config{
		BasePath: settings.DashboardBasePath, SessionKey: s.sessionKey, SessionLifetime: settings.DashboardSessionLifetime,
		Anonymous: settings.DashboardAnonymous, Provider: provider, BrowserURL: settings.BrowserURL(), API: known, Identify: s.identify, Refused: s.refused, Rights: s.rights, SettingsNamespace: s.config.Namespace,
		Admit: s.admit, RetryAfter: retryAfter, PagesAtOnce: max(settings.DatabaseMaxConns/connectionsOfPage, 1),
		Version: s.config.Version, Clock: clock.RealClock{}, Log: s.config.Log.WithName("dashboard"),
	})
	return err
}

// newProvider is where people sign in; nil where there is no such place.
func (s *Server) newProvider() (*oidc.Provider, error) {
	settings := s.config.Settings
	if !settings.OIDC() {
		return nil, nil //nolint:nilnil // there is none, which is no error
	}
	return oidc.New(oidc.Config{
		Issuer: settings.OIDCIssuerURL, ClientID: settings.OIDCClientID, Secret: settings.OIDCClientSecret.Reveal(), CAFile: settings.OIDCCAFile, Proxy: settings.Outbound().Proxy,
		Scopes: settings.OIDCScopes, RedirectURL: settings.BrowserURL() + "/sign-in/callback", Clock: clock.RealClock{},
		Names: oidc.Names{
			Issuer: settings.OIDCIssuerURL, UserClaim: settings.OIDCUsernameClaim, UserPrefix: settings.OIDCUsernamePrefix,
			GroupsClaim: settings.OIDCGroupsClaim, GroupsPrefix: settings.OIDCGroupsPrefix,
		},
	})
}

// sessionKey is the configured one, or the key of the certificate, or of the CA that signed it:
// all replicas have that from one Secret.
func (s *Server) sessionKey() []byte {
	if key := s.config.Settings.DashboardSessionKey.Reveal(); key != "" {
		return []byte(key)
	}
	return s.certificates.SharedKey()
}
