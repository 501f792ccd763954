package webhook_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/webhook"
)

func TestARepositoryIsTheSameWhateverFormItsURLHas(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://git.example.com/team/shop":                 "git.example.com/team/shop",
		"https://git.example.com/team/shop.git":             "git.example.com/team/shop",
		"https://git.example.com/team/shop.git/":            "git.example.com/team/shop",
		"https://GIT.example.com//team/shop/":               "git.example.com/team/shop",
		"https://git.example.com./team/shop":                "git.example.com/team/shop",
		"HTTPS://user:password@git.example.com/team/shop":   "git.example.com/team/shop",
		"https://git.example.com:443/team/shop?ref=a#b":     "git.example.com/team/shop",
		"http://git.example.com:80/team/shop":               "git.example.com/team/shop",
		"https://git.example.com:8443/team/shop":            "git.example.com:8443/team/shop",
		"http://git.example.com:443/team/shop":              "git.example.com:443/team/shop",
		"ssh://git@git.example.com/team/shop.git":           "git.example.com/team/shop",
		"ssh://git@git.example.com:22/team/shop.git":        "git.example.com/team/shop",
		"ssh://git@git.example.com:2222/team/shop.git":      "git.example.com:2222/team/shop",
		"git+ssh://git@git.example.com/team/shop.git":       "git.example.com/team/shop",
		"git@git.example.com:team/shop.git":                 "git.example.com/team/shop",
		"git@git.example.com:/team/shop.git":                "git.example.com/team/shop",
		"git.example.com:team/shop":                         "git.example.com/team/shop",
		"git://git.example.com:9418/team/shop.git":          "git.example.com/team/shop",
		"https://git.example.com/Team/Shop":                 "git.example.com/Team/Shop",
		"https://git.example.com/team/my%20shop":            "git.example.com/team/my shop",
		"ssh://git@ssh.github.com:443/team/shop.git":        "github.com/team/shop",
		"https://[2001:db8::1]:443/team/shop":               "[2001:db8::1]/team/shop",
		"https://git.example.com/team/shop.git.git":         "git.example.com/team/shop.git",
		"https://git.example.com/scm/group/sub/project.git": "git.example.com/scm/group/sub/project",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			repository, found := webhook.ParseRepository(text)
			require.True(t, found)
			require.Equal(t, want, repository.Name)
		})
	}
}

func TestSpaceAroundAURLIsNotPartOfIt(t *testing.T) {
	t.Parallel()
	repository, found := webhook.ParseRepository(" https://git.example.com/team/shop\n")
	require.True(t, found)
	require.Equal(t, "git.example.com/team/shop", repository.Name)
}

func TestWhatIsOnNoOtherMachineIsNoRepository(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "shop", "/srv/git/shop.git", "./shop:old", "file:///srv/git/shop.git", "ftp://git.example.com/shop", "https://git.example.com", "https://git.example.com/",
		"https:///team/shop", "git@git.example.com:", ":team/shop", "https://git.example.com/team/../other", "https://git.example.com/%zz", "https://git.example.com/.git",
	} {
		_, found := webhook.ParseRepository(text)
		require.False(t, found, text)
	}
}

func TestTheCaseOfAPathCountsWhereTheHostTakesNoticeOfIt(t *testing.T) {
	t.Parallel()
	is := func(one, other string) bool {
		left, _ := webhook.ParseRepository(one)
		right, _ := webhook.ParseRepository(other)
		return left.Is(right)
	}
	require.True(t, is("https://github.com/Team/Shop", "git@GitHub.com:team/shop.git"))
	require.True(t, is("https://gitlab.com/Team/Shop", "git@gitlab.com:team/shop.git"))
	require.False(t, is("https://git.example.com/Team/Shop", "git@git.example.com:team/shop.git"))
	require.False(t, is("https://github.com/team/shop", "https://github.com/team/shops"))
	sent, _ := webhook.ParseRepository("https://git.example.com/Team/Shop")
	sent.AnyCase = true // GitHub Enterprise Server said so
	here, _ := webhook.ParseRepository("https://git.example.com/team/shop")
	require.True(t, here.IsOneOf([]webhook.Repository{sent}))
}

func FuzzParseRepository(f *testing.F) {
	for _, seed := range []string{"https://git.example.com/team/shop.git", "git@git.example.com:team/shop.git", "ssh://git@[::1]:22/a", "a:b", "git.example.com/a:b", "https://x/.git/."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		repository, found := webhook.ParseRepository(text)
		if !found {
			return
		}
		require.True(t, repository.Is(repository))
		require.NotContains(t, repository.Name, "//")
	})
}
