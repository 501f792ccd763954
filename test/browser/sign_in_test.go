package browser

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/test/env"
)

// withDex is the stage with a server of its own, at which people sign in at dex. Dex does not run
// yet.
func (s *stage) withDex(t *testing.T) (*stage, *env.Dex) {
	t.Helper()
	dex, err := local.NewDex()
	require.NoError(t, err)
	options := serverOptions("single")
	options.Env = append(options.Env,
		"OIDC_ISSUER_URL="+dex.URL, "OIDC_CA_FILE="+dex.CAFile, "OIDC_CLIENT_ID="+env.DexClientID, "OIDC_CLIENT_SECRET="+env.DexClientSecret,
		"OIDC_SCOPES=openid,email,groups", "OIDC_USERNAME_CLAIM=email", "OIDC_GROUPS_CLAIM=groups", "OIDC_GROUPS_PREFIX=dex:")
	server, err := local.StartServer(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	moved := *s
	moved.server = server
	return &moved, dex
}

// press follows a link or presses a button of a page of anybody's, and waits for what then is
// seen.
func (b *tab) press(selector, until string) *tab {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)), chromedp.WaitVisible(chromedp.CSS(until)))
	return b
}

const (
	toProvider = `a[href*="/sign-in/oidc"]`
	byMock     = `a[href*="/auth/mock"]`
	byPassword = `a[href*="/auth/local"]`
)

func TestPeopleSignInAtDex(t *testing.T) {
	s, dex := theStage(t).withDex(t)
	require.NoError(t, s.cluster.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "authors", Namespace: shopNamespace}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "dex:authors"}},
	}))
	b := s.open(t).visit("/builds/" + shopNamespace)
	b.sees("Sign in at").accessible().fits().screenshot("sign-in-provider-light")
	b.press(toProvider, ".notice.bad")
	b.sees("does not answer as it should, so that nobody can sign in there").accessible().fits().screenshot("sign-in-provider-away-light")

	require.NoError(t, dex.Start(t.Context(), s.server.URL+"/sign-in/callback"))
	b.comesBack(t, "/sign-in?next=/builds/"+shopNamespace)
	b.press(byMock, ".user")
	require.Equal(t, "/builds/"+shopNamespace, b.path())
	b.sees("kilgore@kilgore.trout").sees("shop-1")
	b.visit("/builds/" + manyNamespace).sees("may not list cibuilds.penstock.dev in namespace " + manyNamespace)
	b.visit("/apps/shop/shop").sees("Live")
	b.click("Sign out").sees("You are signed out here").accessible().screenshot("signed-out-light")
	b.visit("/").sees("Sign in at")

	b.press(toProvider, byMock).press(byPassword, "#login")
	b.do(chromedp.SendKeys(chromedp.CSS("#login"), "alice@example.com"), chromedp.SendKeys(chromedp.CSS("#password"), env.DexPassword),
		chromedp.Click(chromedp.CSS("#submit-login")), chromedp.WaitVisible(chromedp.CSS("main")))
	b.visit("/builds/" + shopNamespace).sees("alice@example.com").sees("may not list cibuilds.penstock.dev in namespace " + shopNamespace)
}

// comesBack opens the sign-in until the provider can be reached from it.
func (b *tab) comesBack(t *testing.T, path string) {
	t.Helper()
	require.Eventually(t, func() bool {
		b.visit(path).press(toProvider, "body")
		return eval[bool](b, "!!document.querySelector('"+byMock+"')")
	}, patience, time.Second)
}

func TestDexMayBeReplacedUnderTheDashboard(t *testing.T) {
	s, dex := theStage(t).withDex(t)
	callback := s.server.URL + "/sign-in/callback"
	require.NoError(t, dex.Start(t.Context(), callback))
	b := s.open(t).visit("/settings")
	b.press(toProvider, byMock).press(byMock, ".user").sees("kilgore@kilgore.trout")

	require.NoError(t, dex.Stop())
	b.visit("/settings").sees("kilgore@kilgore.trout").click("Sign out")
	require.NoError(t, dex.Start(t.Context(), callback))
	b.visit("/settings").press(toProvider, byMock).press(byMock, ".user").sees("kilgore@kilgore.trout")

	b.visit("/sign-in/callback?code=guessed&state=guessed").sees("does not belong to a sign-in of this browser")
	require.True(t, strings.HasPrefix(b.path(), "/sign-in/callback"))
	b.visit("/settings").sees("kilgore@kilgore.trout")
}
