package webhook_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

// Not parallel: allocations are counted for the whole process.
func TestABodyThatWouldCostMuchCostsLittle(t *testing.T) {
	for name, body := range map[string]string{
		"3 MiB of opening brackets": strings.Repeat("[", webhook.MaxBody),
		"3 MiB of opening objects":  strings.Repeat(`{"a":`, webhook.MaxBody/5),
		"3 MiB of values":           "[" + strings.Repeat("0,", webhook.MaxBody/2-1) + "0]",
		"3 MiB of empty lists":      "[" + strings.Repeat("[],", webhook.MaxBody/3-1) + "0]",
	} {
		t.Run(name, func(t *testing.T) {
			for _, of := range []v1alpha1.ReceiverType{v1alpha1.ReceiverGeneric, v1alpha1.ReceiverHarbor, v1alpha1.ReceiverDistribution} {
				sender := senderOf(t, of)
				allocations := testing.AllocsPerRun(1, func() {
					_, err := sender.Parse(request(body))
					require.ErrorIs(t, err, webhook.ErrMalformed)
				})
				require.Less(t, allocations, 100.0)
			}
		})
	}
}

func TestDepthIsCountedOutsideOfTexts(t *testing.T) {
	t.Parallel()
	parse(t, v1alpha1.ReceiverGeneric, `{"a":"`+strings.Repeat("[", 1000)+`\"`+strings.Repeat("{", 1000)+`\\"}`)
	parse(t, v1alpha1.ReceiverGeneric, strings.Repeat(`{"a":`, 64)+"0"+strings.Repeat("}", 64))
	_, err := senderOf(t, v1alpha1.ReceiverGeneric).Parse(request(strings.Repeat(`{"a":`, 65) + "0" + strings.Repeat("}", 65)))
	require.ErrorIs(t, err, webhook.ErrMalformed)
}

func TestAFieldThatIsReadMayOccurOnce(t *testing.T) {
	t.Parallel()
	push := []string{"X-GitHub-Event", "push"}
	body := func(more string) string {
		return `{"ref":"refs/heads/main","after":"` + commit + `","repository":{"clone_url":"https://github.com/team/shop.git"}` + more + `}`
	}
	github := senderOf(t, v1alpha1.ReceiverGitHub)
	_, err := github.Parse(request(body(`,"ref":"refs/heads/other"`), push...))
	require.ErrorIs(t, err, webhook.ErrMalformed)
	_, err = github.Parse(request(body(`,"repository":{}`), push...))
	require.ErrorIs(t, err, webhook.ErrMalformed)
	_, err = github.Parse(request(`{"repository":{"clone_url":"a","clone_url":"b"}}`, push...))
	require.ErrorIs(t, err, webhook.ErrMalformed)
	event := parse(t, v1alpha1.ReceiverGitHub, body(`,"REF":"refs/heads/other","Ref":"refs/heads/other","sender":1,"sender":2`), push...)
	require.Equal(t, "main", event.Push.Ref)
}

func TestAByteOrderMarkIsNotPartOfTheJSON(t *testing.T) {
	t.Parallel()
	event := parse(t, v1alpha1.ReceiverHarbor, "\xef\xbb\xbf"+`{"type":"PULL_ARTIFACT"}`)
	require.Equal(t, webhook.Ignored, event.Kind)
}

func TestWhatIsNoJSONIsMalformed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "null,", "{", `{"type":1}`, `[]`, `"text"`, `{"type":"a"}{"type":"b"}`, "\xff", "<html>"} {
		_, err := senderOf(t, v1alpha1.ReceiverHarbor).Parse(request(body))
		require.ErrorIs(t, err, webhook.ErrMalformed, body)
	}
}
