package webhook_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

func githubPush(ref, after, more string) string {
	return fmt.Sprintf(`{"ref":%q,"after":%q,"repository":{"clone_url":"https://github.com/Team/Shop.git","ssh_url":"git@github.com:Team/Shop.git","html_url":"https://github.com/Team/Shop"}%s}`, ref, after, more)
}

func TestGitHubTellsOfBranchesAndTags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body, kind, ref string
		isTag           bool
		why             string
	}{
		"a branch":                          {githubPush("refs/heads/main", commit, ""), "Pushed", "main", false, ""},
		"a branch with slashes":             {githubPush("refs/heads/feature/x", commit, ""), "Pushed", "feature/x", false, ""},
		"a new branch":                      {githubPush("refs/heads/main", commit, `,"before":"`+nothing+`","created":true`), "Pushed", "main", false, ""},
		"a branch that was forced":          {githubPush("refs/heads/main", commit, `,"forced":true`), "Pushed", "main", false, ""},
		"a tag":                             {githubPush("refs/tags/v1", commit, ""), "Pushed", "v1", true, ""},
		"a tag that is named like a branch": {githubPush("refs/tags/main", commit, ""), "Pushed", "main", true, ""},
		"a branch that is named like a tag": {githubPush("refs/heads/refs/tags/v1", commit, ""), "Pushed", "refs/tags/v1", false, ""},
		"an annotated tag":                  {githubPush("refs/tags/v1", "ffffffffffffffffffffffffffffffffffffffff", `,"head_commit":{"id":"`+commit+`"}`), "Pushed", "v1", true, ""},
		"a branch that is gone":             {githubPush("refs/heads/main", nothing, `,"deleted":true,"head_commit":null`), "Ignored", "", false, "branch deletion"},
		"a branch that is gone, in SHA-256": {githubPush("refs/heads/main", nothing+"000000000000000000000000", `,"head_commit":null`), "Ignored", "", false, "branch deletion"},
		"a tag that is gone":                {githubPush("refs/tags/v1", nothing, `,"deleted":true,"head_commit":null`), "Ignored", "", false, "tag deletion"},
		"notes":                             {githubPush("refs/notes/commits", commit, ""), "Ignored", "", false, "neither a branch nor a tag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := parse(t, v1alpha1.ReceiverGitHub, test.body, "X-GitHub-Event", "push", "X-GitHub-Delivery", "one")
			require.Equal(t, webhook.Kind(test.kind), event.Kind)
			require.Equal(t, test.why, event.Why)
			require.Equal(t, test.ref, event.Push.Ref)
			require.Equal(t, test.isTag, event.Push.IsTag)
			require.Equal(t, "one", event.ID)
			require.Equal(t, "push", event.Name)
			require.Equal(t, "github.com/team/shop", event.Order)
			if event.Kind == webhook.Pushed {
				require.Equal(t, commit, event.Push.Commit)
				require.Equal(t, []string{"github.com/Team/Shop"}, names(event.Push.Repositories))
			}
		})
	}
}

func TestGitHubSendsFormsAsWell(t *testing.T) {
	t.Parallel()
	push := githubPush("refs/heads/main", commit, "")
	form := url.Values{"payload": {push}}.Encode()
	for _, kind := range []string{"application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"} {
		event := parse(t, v1alpha1.ReceiverGitHub, form, "X-GitHub-Event", "push", "Content-Type", kind)
		require.Equal(t, "main", event.Push.Ref)
	}
	event := parse(t, v1alpha1.ReceiverGitHub, push, "X-GitHub-Event", "push", "Content-Type", "application/json; charset=utf-8")
	require.Equal(t, "main", event.Push.Ref)
	for _, body := range []string{"", "payload=%zz", "payload=1&payload=2", "load=1", push} {
		_, err := senderOf(t, v1alpha1.ReceiverGitHub).Parse(request(body, "X-GitHub-Event", "push", "Content-Type", "application/x-www-form-urlencoded"))
		require.ErrorIs(t, err, webhook.ErrMalformed, body)
	}
}

func TestGitHubPushesThatNameTooLittleAreMalformed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		githubPush("refs/heads/main", "", ""), githubPush("refs/heads/main", "main", ""), githubPush("refs/heads/main", commit, `,"head_commit":{"id":"x"}`),
		`{"ref":"refs/heads/main","after":"` + commit + `"}`, `{"ref":"refs/heads/main","after":"` + commit + `","repository":{}}`,
	} {
		event, err := senderOf(t, v1alpha1.ReceiverGitHub).Parse(request(body, "X-GitHub-Event", "push", "X-GitHub-Delivery", "one"))
		require.ErrorIs(t, err, webhook.ErrMalformed, body)
		require.Equal(t, "one", event.ID, "a delivery that can't be read is told apart all the same")
	}
}

// A workflow may hand the name to git on a command line.
func TestAPushOfANameThatGitTakesNotIsMalformed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "-x", "--upload-pack=touch x", "@", ".x", "a/.x", "x.", "x/", "/x", "a//b", "..", "../../x", "a..b", "a.lock", "a.lock/b", "a b", "a\tb", "a~1", "a^", "a:b", "a?", "a*", "a[b", `a\b`, "a@{1}",
	} {
		for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
			_, err := senderOf(t, v1alpha1.ReceiverGitHub).Parse(request(githubPush(prefix+name, commit, ""), "X-GitHub-Event", "push"))
			require.ErrorIs(t, err, webhook.ErrMalformed, "%q", name)
			require.ErrorContains(t, err, "which git takes neither as a branch nor as a tag", "%q", name)
		}
	}
	for _, name := range []string{"x", "a/b", "a-b", "a.b", "@x", "x@", "{x}", "v1.2.3", "lock", "a.locks", "ärger", "a+b", "dependabot/go_modules/x-1.2", "#1", "a=b"} {
		event := parse(t, v1alpha1.ReceiverGitHub, githubPush("refs/heads/"+name, commit, ""), "X-GitHub-Event", "push")
		require.Equal(t, name, event.Push.Ref)
	}
}

func githubPackage(field, tag, digest string) string {
	return fmt.Sprintf(`{"action":"published",%q:{"name":"web","namespace":"Team","package_type":"CONTAINER","package_version":{"version":%q,"package_url":"ghcr.io/Team/web:%s",
	  "container_metadata":{"tag":{"name":%q,"digest":%q}}}}}`, field, digest, tag, tag, digest)
}

func TestGitHubTellsOfContainerPackages(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"package", "registry_package"} {
		index := parse(t, v1alpha1.ReceiverGitHub, githubPackage(name, "1.2", digest), "X-GitHub-Event", name)
		require.Equal(t, webhook.ImagePushed, index.Kind)
		require.Equal(t, []string{"ghcr.io/team/web:1.2@" + digest}, images(index.Images))
		require.Equal(t, "ghcr.io/team/web", index.Order)
		manifest := parse(t, v1alpha1.ReceiverGitHub, githubPackage(name, "", digest), "X-GitHub-Event", name)
		require.Equal(t, []string{"ghcr.io/team/web@" + digest}, images(manifest.Images))
	}
}

func TestEventsOfGitHubThatAreNotActedUponAreNotRead(t *testing.T) {
	t.Parallel()
	require.Equal(t, webhook.Ping, parse(t, v1alpha1.ReceiverGitHub, `{"zen":1}`, "X-GitHub-Event", "ping").Kind)
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverGitHub, `{`, "X-GitHub-Event", "issues").Kind)
	require.Equal(t, webhook.Ignored, parse(t, v1alpha1.ReceiverGitHub, `{`).Kind)
}
