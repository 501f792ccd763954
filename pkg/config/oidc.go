package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// OIDC tells whether people can sign in at an identity provider.
func (c Config) OIDC() bool { return c.OIDCIssuerURL != "" }

// BrowserURL is how browsers reach the dashboard; empty where nobody has told.
func (c Config) BrowserURL() string {
	return strings.TrimSuffix(cmp.Or(c.DashboardURL, c.ServerURL), "/")
}

// oidcProblems are what the variables of the sign-in lack together.
func (c Config) oidcProblems() (problems []error) {
	if !c.OIDC() {
		if c.OIDCClientID != "" {
			problems = append(problems, errors.New("OIDC_ISSUER_URL is not set, and OIDC_CLIENT_ID is: set the URL of the identity provider, or remove OIDC_CLIENT_ID"))
		}
		return problems
	}
	if c.OIDCClientID == "" {
		problems = append(problems, errors.New("OIDC_CLIENT_ID is not set, and OIDC_ISSUER_URL is: register the dashboard at the identity provider, and set the id of the client"))
	}
	if !slices.Contains(c.OIDCScopes, "openid") {
		problems = append(problems, fmt.Errorf("OIDC_SCOPES=%q: must have openid among its scopes", strings.Join(c.OIDCScopes, ",")))
	}
	return append(problems, c.browserProblems()...)
}

// browserProblems are why the identity provider could not send a browser back.
func (c Config) browserProblems() []error {
	if c.BrowserURL() == "" {
		return []error{errors.New("DASHBOARD_URL is not set, and OIDC_ISSUER_URL is: set the URL at which browsers reach the dashboard, where the identity provider sends them back")}
	}
	name := "DASHBOARD_URL"
	if c.DashboardURL == "" {
		name = "SERVER_URL"
	}
	address, err := url.Parse(c.BrowserURL())
	if base := "/" + strings.Trim(c.DashboardBasePath, "/"); err != nil || "/"+strings.Trim(address.Path, "/") != base {
		return []error{fmt.Errorf("%s=%q: its path must be that of DASHBOARD_BASE_PATH, %s: set DASHBOARD_URL to the URL at which browsers reach the dashboard", name, c.BrowserURL(), base)}
	}
	return nil
}
