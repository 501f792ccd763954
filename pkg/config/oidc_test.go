package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// withOIDC is an environment with all that a sign-in needs, changed by pairs of name and value.
func withOIDC(pairs ...string) map[string]string {
	return with(append([]string{"OIDC_ISSUER_URL", "https://sso.example.org", "OIDC_CLIENT_ID", "penstock", "SERVER_URL", "https://penstock.example.org"}, pairs...)...)
}

func TestASignInIsRefusedAtTheStartWhereItCouldNeverWork(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		environ map[string]string
		says    string
	}{
		"an issuer without TLS":                {withOIDC("OIDC_ISSUER_URL", "http://sso.example.org"), `OIDC_ISSUER_URL="http://sso.example.org": must be a URL of the form https://host`},
		"an issuer without a client":           {withOIDC("OIDC_CLIENT_ID", ""), "OIDC_CLIENT_ID is not set, and OIDC_ISSUER_URL is: register the dashboard at the identity provider"},
		"a client without an issuer":           {withOIDC("OIDC_ISSUER_URL", ""), "OIDC_ISSUER_URL is not set, and OIDC_CLIENT_ID is: set the URL of the identity provider"},
		"nowhere to send the browser back to":  {withOIDC("SERVER_URL", ""), "DASHBOARD_URL is not set, and OIDC_ISSUER_URL is: set the URL at which browsers reach the dashboard"},
		"a URL of another path than the pages": {withOIDC("DASHBOARD_BASE_PATH", "/penstock"), `SERVER_URL="https://penstock.example.org": its path must be that of DASHBOARD_BASE_PATH, /penstock`},
		"a path that nothing is served under":  {withOIDC("DASHBOARD_URL", "https://example.org/x/"), `DASHBOARD_URL="https://example.org/x": its path must be that of DASHBOARD_BASE_PATH, /`},
		"scopes without openid":                {withOIDC("OIDC_SCOPES", "email,groups"), `OIDC_SCOPES="email,groups": must have openid among its scopes`},
		"a prefix that makes people Kubernetes' own": {
			withOIDC("OIDC_USERNAME_PREFIX", "system:"), `OIDC_USERNAME_PREFIX="system:": must be a text that does not begin with system:`,
		},
		"the same for groups": {withOIDC("OIDC_GROUPS_PREFIX", "system:"), `OIDC_GROUPS_PREFIX="system:": must be a text that does not begin with system:`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, _, err := Load(test.environ)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestBrowsersReachTheDashboardAtItsOwnURLOrThatOfTheServer(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		environ map[string]string
		want    string
	}{
		"that of the server":          {withOIDC(), "https://penstock.example.org"},
		"its own":                     {withOIDC("DASHBOARD_URL", "https://tools.example.org/"), "https://tools.example.org"},
		"under the path of the pages": {withOIDC("DASHBOARD_URL", "https://tools.example.org/penstock", "DASHBOARD_BASE_PATH", "/penstock/"), "https://tools.example.org/penstock"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			loaded, _, err := Load(test.environ)
			require.NoError(t, err)
			require.True(t, loaded.OIDC())
			require.Equal(t, test.want, loaded.BrowserURL())
		})
	}
	require.False(t, defaults().OIDC())
}
