package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/webhook"
)

const body = `{"ref":"refs/heads/main"}`

func TestOnlyWhoKnowsASecretIsBelieved(t *testing.T) {
	t.Parallel()
	signed := "sha256=" + hexSum("new", body)
	for name, test := range map[string]struct {
		of      v1alpha1.ReceiverType
		secrets [][]byte
		headers []string
		fits    bool
	}{
		"GitHub signs with the secret":                            {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", signed}, true},
		"GitHub signs with the secret before, which is valid yet": {v1alpha1.ReceiverGitHub, secrets("newer", "new"), []string{"X-Hub-Signature-256", signed}, true},
		"GitHub signs with a third secret":                        {v1alpha1.ReceiverGitHub, secrets("newer", "newest", "new"), []string{"X-Hub-Signature-256", signed}, false},
		"GitHub signs with another secret":                        {v1alpha1.ReceiverGitHub, secrets("old"), []string{"X-Hub-Signature-256", signed}, false},
		"GitHub signs with SHA-1":                                 {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature", "sha1=" + hexSum("new", body)[:40]}, false},
		"the sum has no algorithm before it":                      {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", hexSum("new", body)}, false},
		"the sum is cut":                                          {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", signed[:69]}, false},
		"the sum has an odd length":                               {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", signed + "a"}, false},
		"the sum is followed by something else":                   {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", signed + ","}, false},
		"there are two signatures":                                {v1alpha1.ReceiverGitHub, secrets("new"), []string{"X-Hub-Signature-256", signed, "X-Hub-Signature-256", signed}, false},
		"there is no signature":                                   {v1alpha1.ReceiverGitHub, secrets("new"), nil, false},
		"there is no secret":                                      {v1alpha1.ReceiverGitHub, nil, []string{"X-Hub-Signature-256", "sha256=" + hexSum("", body)}, false},
		"the secret is empty":                                     {v1alpha1.ReceiverGitHub, secrets("", ""), []string{"X-Hub-Signature-256", "sha256=" + hexSum("", body)}, false},
		"anything signs with the secret":                          {v1alpha1.ReceiverGeneric, secrets("new"), []string{"X-Signature-256", signed}, true},
		"CDEvents are signed with the secret":                     {v1alpha1.ReceiverCDEvents, secrets("new"), []string{"X-Signature-256", signed}, true},
		"CDEvents are signed with another":                        {v1alpha1.ReceiverCDEvents, secrets("old"), []string{"X-Signature-256", signed}, false},
		"GitLab presents the token":                               {v1alpha1.ReceiverGitLab, secrets("new"), []string{"X-Gitlab-Token", "new"}, true},
		"GitLab presents the token before":                        {v1alpha1.ReceiverGitLab, secrets("newer", "new"), []string{"X-Gitlab-Token", "new"}, true},
		"GitLab presents another token":                           {v1alpha1.ReceiverGitLab, secrets("new"), []string{"X-Gitlab-Token", "newer"}, false},
		"GitLab presents no token, and there is none":             {v1alpha1.ReceiverGitLab, secrets(""), []string{"X-Gitlab-Token", ""}, false},
		"Harbor presents its header":                              {v1alpha1.ReceiverHarbor, secrets("new"), []string{"Authorization", "new"}, true},
		"Harbor presents its header with a scheme":                {v1alpha1.ReceiverHarbor, secrets("new"), []string{"Authorization", "bearer new"}, true},
		"the secret holds a scheme of its own":                    {v1alpha1.ReceiverHarbor, secrets("Basic abc"), []string{"Authorization", "Basic abc"}, true},
		"Harbor presents another header":                          {v1alpha1.ReceiverHarbor, secrets("new"), []string{"Authorization", "Bearer old"}, false},
		"a registry presents its token":                           {v1alpha1.ReceiverDistribution, secrets("new"), []string{"Authorization", "Bearer new"}, true},
		"a registry presents two":                                 {v1alpha1.ReceiverDistribution, secrets("new"), []string{"Authorization", "new", "Authorization", "new"}, false},
		"unsigned senders present nothing":                        {v1alpha1.ReceiverUnsigned, nil, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := senderOf(t, test.of).Verify(request(body, test.headers...), test.secrets)
			if test.fits {
				require.NoError(t, err)
				return
			}
			require.Equal(t, webhook.ErrUnverified, err)
		})
	}
}

func TestASignatureIsOfTheBytesThatCame(t *testing.T) {
	t.Parallel()
	github := senderOf(t, v1alpha1.ReceiverGitHub)
	signed := "sha256=" + hexSum("new", body)
	for _, changed := range []string{body + "\n", "\xef\xbb\xbf" + body, strings.ReplaceAll(body, ":", ": "), body[1:]} {
		require.ErrorIs(t, github.Verify(request(changed, "X-Hub-Signature-256", signed), secrets("new")), webhook.ErrUnverified, changed)
	}
	form := "payload=%7B%7D"
	require.NoError(t, github.Verify(request(form, "X-Hub-Signature-256", "sha256="+hexSum("new", form), "Content-Type", "application/x-www-form-urlencoded"), secrets("new")))
}

// standard signs as GitLab does with a signing token.
func standard(key []byte, id string, seconds int64) []string {
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", id, seconds, body)
	return []string{
		"webhook-id", id, "webhook-timestamp", fmt.Sprint(seconds), "webhook-signature", "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}
}

func TestGitLabSignsWithASigningToken(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	token := "whsec_" + base64.StdEncoding.EncodeToString(key)
	replaced := func(headers []string, name, value string) []string {
		for i := 0; i < len(headers); i += 2 {
			if headers[i] == name {
				headers[i+1] = value
			}
		}
		return headers
	}
	valid := standard(key, "one", now.Unix())[5]
	for name, test := range map[string]struct {
		headers []string
		secrets [][]byte
		fits    bool
	}{
		"with the token":                    {standard(key, "one", now.Unix()), secrets(token), true},
		"with the token before":             {standard(key, "one", now.Unix()), secrets("whsec_AAAA", token), true},
		"with one of two signatures":        {replaced(standard(key, "one", now.Unix()), "webhook-signature", "v1,AAAA v2,BBBB "+valid), secrets(token), true},
		"with a ninth signature":            {replaced(standard(key, "one", now.Unix()), "webhook-signature", strings.Repeat("v1,AAAA ", 8)+valid), secrets(token), false},
		"with another key":                  {standard([]byte("another"), "one", now.Unix()), secrets(token), false},
		"for another id":                    {replaced(standard(key, "one", now.Unix()), "webhook-id", "two"), secrets(token), false},
		"without an id":                     {standard(key, "", now.Unix()), secrets(token), false},
		"four minutes ago":                  {standard(key, "one", now.Unix()-240), secrets(token), true},
		"six minutes ago":                   {standard(key, "one", now.Unix()-360), secrets(token), false},
		"six minutes from now":              {standard(key, "one", now.Unix()+360), secrets(token), false},
		"at the end of time":                {standard(key, "one", 1<<62), secrets(token), false},
		"with a token that is no base64":    {standard(nil, "one", now.Unix()), secrets("whsec_?"), false},
		"with a token that holds no key":    {standard(nil, "one", now.Unix()), secrets("whsec_"), false},
		"and the signature has no version":  {replaced(standard(key, "one", now.Unix()), "webhook-signature", valid[3:]), secrets(token), false},
		"and the time is of another body's": {replaced(standard(key, "one", now.Unix()), "webhook-timestamp", fmt.Sprint(now.Unix()+1)), secrets(token), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := senderOf(t, v1alpha1.ReceiverGitLab).Verify(request(body, test.headers...), test.secrets)
			require.Equal(t, test.fits, err == nil, err)
		})
	}
}

func TestWhereThereIsNothingToVerifyWithItIsRefused(t *testing.T) {
	t.Parallel()
	require.Equal(t, webhook.ErrUnverified, webhook.Refuse(request(body)))
}

func TestOnlyHeadersWithoutSecretsAreKept(t *testing.T) {
	t.Parallel()
	all := http.Header{
		"Authorization": {"secret"}, "X-Gitlab-Token": {"secret"}, "X-Hub-Signature-256": {"sum"}, "X-Signature-256": {"sum"}, "Webhook-Signature": {"sum"},
		"Cookie": {"secret"}, "Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Gitlab-Event": {"Push Hook"}, "Idempotency-Key": {"one"}, "Ce-Id": {"one"},
	}
	for _, of := range []v1alpha1.ReceiverType{
		v1alpha1.ReceiverGitHub, v1alpha1.ReceiverGitLab, v1alpha1.ReceiverHarbor, v1alpha1.ReceiverDistribution, v1alpha1.ReceiverCDEvents,
		v1alpha1.ReceiverGeneric, v1alpha1.ReceiverUnsigned,
	} {
		for name, values := range webhook.Keep(senderOf(t, of), all) {
			require.NotContains(t, []string{"secret", "sum"}, values[0], "%s keeps %s", of, name)
		}
	}
	require.Equal(t, http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}}, webhook.Keep(senderOf(t, v1alpha1.ReceiverGitHub), all))
}
