package webhook_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
	"github.com/penstock-cd/penstock/test/env"
)

// published is a payload that a sender has published as an example.
type published struct {
	event string
	body  string
}

func publishedByGitHub(t testing.TB) []published {
	t.Helper()
	path, err := env.Part("payloads/github.json")
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var all []struct {
		Name     string
		Examples []json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &all))
	var result []published
	for _, one := range all {
		for _, example := range one.Examples {
			result = append(result, published{one.Name, string(example)})
		}
	}
	return result
}

func publishedByGitLab(t testing.TB) []published {
	t.Helper()
	folder, err := env.Part("payloads/gitlab")
	require.NoError(t, err)
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	var result []published
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		result = append(result, published{strings.TrimSuffix(filepath.Base(path), ".json"), string(text)})
	}
	return result
}

func TestWhatGitHubPublishesIsUnderstood(t *testing.T) {
	t.Parallel()
	all := publishedByGitHub(t)
	require.Greater(t, len(all), 200)
	kinds := map[string]map[webhook.Kind]int{}
	for _, one := range all {
		event, err := senderOf(t, v1alpha1.ReceiverGitHub).Parse(request(one.body, "X-GitHub-Event", one.event))
		require.NoError(t, err, one.event)
		if kinds[one.event] == nil {
			kinds[one.event] = map[webhook.Kind]int{}
		}
		kinds[one.event][event.Kind]++
		if event.Kind == webhook.Pushed {
			require.Equal(t, []string{"github.com/Codertocat/Hello-World"}, names(event.Push.Repositories))
			require.Equal(t, commit, event.Push.Commit)
		}
	}
	require.Equal(t, map[webhook.Kind]int{webhook.Pushed: 3, webhook.Ignored: 4}, kinds["push"], "four examples delete a tag")
	require.Equal(t, map[webhook.Kind]int{webhook.ImagePushed: 1, webhook.Ignored: 2}, kinds["package"], "two examples are of npm")
	require.Equal(t, map[webhook.Kind]int{webhook.Ping: 4}, kinds["ping"])
	delete(kinds, "push")
	delete(kinds, "package")
	delete(kinds, "ping")
	for name, counts := range kinds {
		require.Len(t, counts, 1, name)
		require.NotZero(t, counts[webhook.Ignored], name)
	}
}

// gitlabEvents are the headers of GitLab's examples that are acted upon.
var gitlabEvents = map[string]string{"push": "Push Hook", "tag_push": "Tag Push Hook", "pipeline": "Pipeline Hook"}

func TestWhatGitLabPublishesIsUnderstood(t *testing.T) {
	t.Parallel()
	all := publishedByGitLab(t)
	require.Greater(t, len(all), 20)
	for _, one := range all {
		name := gitlabEvents[one.event]
		if name == "" {
			name = "System Hook" // which has every kind of body
		}
		event, err := senderOf(t, v1alpha1.ReceiverGitLab).Parse(request(one.body, "X-Gitlab-Event", name))
		require.NoError(t, err, one.event)
		switch one.event {
		case "push":
			require.Equal(t, webhook.Pushed, event.Kind)
			require.Equal(t, []string{"example.com/mike/diaspora"}, names(event.Push.Repositories))
			require.Equal(t, "master", event.Push.Ref)
			require.Equal(t, "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", event.Push.Commit)
		case "tag_push":
			require.True(t, event.Push.IsTag)
			require.Equal(t, "v1.0.0", event.Push.Ref)
		default:
			require.Equal(t, webhook.Ignored, event.Kind, one.event)
		}
	}
}
