package browser

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// look is one page in one state, and what its reader must find there.
type look struct {
	name, path string
	texts      []string
}

// looks are every page in every state that the stage has.
func looks() []look {
	return []look{
		{"applications", "/", []string{"shop", "Failing", "1 failed, 2 waiting, 1 active, 2 succeeded of 8", "Next page"}},
		{"applications-none", "/?search=nothing-has-this-name", []string{"No application matches"}},
		{"applications-failing", "/?state=Failing", []string{"shop"}},
		{"applications-odd", "/?search=odd", []string{markup, rightToLeft, "aaaaaaaa"}},
		{"application", "/apps/shop/shop", []string{"What waits, and why", "waits for a person", "What is deployed where", "staging", "Latest builds", "shop-1"}},
		{"application-new", "/apps/many/service-00", []string{"Nothing is deployed yet", "No builds yet"}},
		{"application-wide", "/apps/many/wide", []string{"wide-000", "wide-119"}},
		{"application-markup", "/apps/odd/" + escaped(markup), []string{markup}},
		{"application-right-to-left", "/apps/odd/" + escaped(rightToLeft), []string{rightToLeft}},
		{"application-long", "/apps/odd/" + longName, []string{longName}},
		{"application-missing", "/apps/shop/nothing", []string{"There is nothing here", "no CiPipeline and no CdPipeline of application nothing"}},
		{"build", "/builds/shop/shop-1", []string{"What was decided for each pipeline", "spec.suspend of the pipeline was true", "What happened", "shop-eu-west"}},
		{"build-running", "/builds/shop/shop-2", []string{"Nothing is decided yet", "No runs"}},
		{"build-wide", "/builds/many/wide-1", []string{"wide-000", "wide-119"}},
		{"build-markup", "/builds/odd/odd-1", []string{markup[:30]}},
		{"build-missing", "/builds/shop/nothing", []string{"There is nothing here"}},
		{"builds", "/builds/shop", []string{"shop-1", "shop-2"}},
		{"builds-none", "/builds/shop?phase=Cancelled", []string{"No builds"}},
		{"runs", "/pipelines/shop/shop-eu-west", []string{"shop-1", "Failed"}},
		{"queue", "/queue", []string{"Nothing here"}},
		{"queue-held", "/queue?state=Held", []string{"shop-prod", "waits for a person"}},
		{"queue-running", "/queue?state=Running", []string{"shop-load-test"}},
		{"clusters", "/clusters", []string{"ap-south", "eu-central", "home"}},
		{"cluster", "/clusters/ap-south", []string{"ap-south", "History"}},
		{"cluster-missing", "/clusters/nowhere", []string{"There is no TargetCluster nowhere"}},
		{"clusters-none", "/clusters?clusterSelector=region%3Dnowhere", []string{"No cluster has these labels"}},
		{"resources", "/resources", []string{"is missing or old of", "ap-south"}},
		{"resources-services", "/resources?kinds=services", []string{"kubernetes", "ClusterIP"}},
		{"images", "/images?namespace=many", []string{"No waves"}},
		{"deliveries", "/deliveries", []string{"shop", "many", "odd"}},
		{"deliveries-none", "/deliveries?namespace=many", []string{"No deliveries"}},
		{"notifications", "/notifications?namespace=many", []string{"No notifications"}},
		{"settings", "/settings", []string{"system:serviceaccount:default:reader", "KUBE_API_QPS", "environment of the controller"}},
		{"nowhere", "/nowhere", []string{"There is nothing here"}},
	}
}

func contains(content, text string) bool { return strings.Contains(content, text) }

func escaped(name string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F", "<", "%3C", ">", "%3E", `"`, "%22", "?", "%3F", "#", "%23", " ", "%20").Replace(name)
}

func TestEveryPageInEveryStateIsReadableAccessibleAndQuiet(t *testing.T) {
	s := theStage(t)
	b := s.open(t).signIn(s.reader)
	for _, one := range looks() {
		t.Run(one.name, func(t *testing.T) {
			b := b.within(t)
			for _, theme := range []string{"light", "dark"} {
				b.theme(theme).visit(one.path).screenshot(one.name + "-" + theme)
			}
			content := b.text()
			for _, text := range one.texts {
				require.Contains(t, content, text)
			}
			b.small().fits().theme("light").accessible().theme("dark").accessible()
		})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaint {
		require.Contains(t, complaint, "404", "the browser itself notes the pages that answer 404, and must note nothing else")
	}
}

func TestPagesFitAPhone(t *testing.T) {
	s := theStage(t)
	b := s.open(t).signIn(s.reader).size(390, 844)
	for _, one := range looks() {
		b.visit(one.path).fits()
	}
	for _, path := range []string{"/", "/apps/shop/shop", "/builds/shop/shop-1"} {
		b.visit(path).accessible().screenshot("phone" + strings.ReplaceAll(path, "/", "-"))
	}
}

func TestSignInPages(t *testing.T) {
	s := theStage(t)
	b := s.open(t)
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme).visit("/apps/shop/shop").sees("Sign in").accessible().fits().screenshot("sign-in-" + theme)
	}
	require.Equal(t, "/sign-in?next=%2Fapps%2Fshop%2Fshop", b.path())
	b.quiet()
}

func TestWhoMayDoNothingIsToldWhatIsMissing(t *testing.T) {
	s := theStage(t)
	b := s.open(t).visit("/sign-in")
	b.fill("#token", s.stranger)
	for _, path := range []string{"/", "/apps/shop/shop", "/builds/shop/shop-1", "/queue", "/clusters", "/resources", "/images", "/deliveries?namespace=shop", "/notifications?namespace=shop"} {
		b.visit(path).sees("You may not see or do this").sees("ask an administrator for that right")
		require.NotContains(t, b.text(), "shop-prod")
	}
	b.accessible().screenshot("denied-light")
	b.theme("dark").screenshot("denied-dark")
}

func TestEverythingIsThereWithoutScripts(t *testing.T) {
	s := theStage(t)
	b := s.open(t)
	b.withoutScripts().visit("/sign-in")
	b.fill("#token", s.reader)
	for _, one := range looks() {
		b.visit(one.path)
		content := b.text()
		for _, text := range one.texts {
			require.Contains(t, content, text, one.path)
		}
	}
	b.visit("/")
	b.fill("input[name=search]", "shop/shop")
	require.Equal(t, "/?environment=&search=shop%2Fshop", sorted(b.path()))
	b.sees("shop")
}
