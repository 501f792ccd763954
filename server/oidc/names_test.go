package oidc

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreThoseOfKubeAPIServer(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		names   Names
		claims  string
		user    string
		groups  []string
		dropped int
	}{
		"the subject with the issuer before it":   {names: Names{UserClaim: "sub"}, claims: `{"sub":"1234"}`, user: "https://sso.example.org#1234"},
		"the e-mail address as it is":             {names: Names{UserClaim: "email"}, claims: `{"email":"ada@example.org"}`, user: "ada@example.org"},
		"an e-mail address with a prefix":         {names: Names{UserClaim: "email", UserPrefix: "sso:"}, claims: `{"email":"ada@example.org","email_verified":true}`, user: "sso:ada@example.org"},
		"the subject without a prefix":            {names: Names{UserClaim: "sub", UserPrefix: "-"}, claims: `{"sub":"ada","email_verified":false}`, user: "ada"},
		"a name of Kubernetes behind a prefix":    {names: Names{UserClaim: "sub", UserPrefix: "sso:"}, claims: `{"sub":"system:admin"}`, user: "sso:system:admin"},
		"groups, sorted, each once":               {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}, claims: `{"sub":"ada","groups":["b","a","b",""]}`, user: "ada", groups: []string{"a", "b"}},
		"a group that is a text":                  {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "role"}, claims: `{"sub":"ada","role":"a"}`, user: "ada", groups: []string{"a"}},
		"groups with a prefix":                    {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups", GroupsPrefix: "sso:"}, claims: `{"sub":"ada","groups":["a","system:masters"]}`, user: "ada", groups: []string{"sso:a", "sso:system:masters"}},
		"no groups where the claim is missing":    {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}, claims: `{"sub":"ada"}`, user: "ada"},
		"no groups where they are null":           {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}, claims: `{"sub":"ada","groups":null}`, user: "ada"},
		"no groups where nobody asked for them":   {names: Names{UserClaim: "sub", UserPrefix: "-"}, claims: `{"sub":"ada","groups":["a"],"_claim_names":{"groups":"x"}}`, user: "ada"},
		"groups of Kubernetes are left out":       {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}, claims: `{"sub":"ada","groups":["system:masters","a","system:nodes"]}`, user: "ada", groups: []string{"a"}, dropped: 2},
		"groups of Kubernetes in one text":        {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}, claims: `{"sub":"ada","groups":"system:masters"}`, user: "ada", dropped: 1},
		"a prefix that completes Kubernetes' own": {names: Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups", GroupsPrefix: "sys"}, claims: `{"sub":"ada","groups":["tem:masters"]}`, user: "ada", dropped: 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			test.names.Issuer = "https://sso.example.org"
			var of claims
			require.NoError(t, json.Unmarshal([]byte(test.claims), &of))
			user, dropped, err := test.names.user(of)
			require.NoError(t, err)
			require.Equal(t, test.user, user.Name)
			require.ElementsMatch(t, test.groups, user.Groups)
			require.Equal(t, test.dropped, dropped)
		})
	}
}

func TestWhoCanNotBeNamedIsRefused(t *testing.T) {
	t.Parallel()
	email, subject := Names{UserClaim: "email", GroupsClaim: "groups"}, Names{UserClaim: "sub", UserPrefix: "-", GroupsClaim: "groups"}
	for sentence, test := range map[string]struct {
		names  Names
		claims string
		says   string
	}{
		"without the claim":                          {email, `{"sub":"1"}`, "no text in the claim email"},
		"with a claim that is no text":               {email, `{"email":7}`, "no text in the claim email"},
		"with an empty name":                         {subject, `{"sub":""}`, "no text in the claim sub"},
		"with an address that is not verified":       {email, `{"email":"ada@example.org","email_verified":false}`, "has not verified your e-mail address"},
		"with an address that is verified as a text": {email, `{"email":"ada@example.org","email_verified":"false"}`, "has not verified your e-mail address"},
		"as a part of Kubernetes":                    {subject, `{"sub":"system:admin"}`, "begins with system:"},
		"as a service account":                       {email, `{"email":"system:serviceaccount:kube-system:admin"}`, "begins with system:"},
		"as a part of Kubernetes, by the prefix":     {Names{UserClaim: "sub", UserPrefix: "sys"}, `{"sub":"tem:admin"}`, "begins with system:"},
		"with a name that is too long":               {subject, `{"sub":"` + strings.Repeat("x", 513) + `"}`, "longer than 512 bytes"},
		"with a name of two lines":                   {subject, `{"sub":"ada\nroot"}`, "can't be seen"},
		"with groups that are no texts":              {subject, `{"sub":"ada","groups":[1,2]}`, "neither a text nor a list of texts"},
		"with a group of two lines":                  {subject, `{"sub":"ada","groups":["a\nb"]}`, "One of your groups"},
		"with groups that are elsewhere":             {subject, `{"sub":"ada","_claim_names":{"groups":"src1"},"_claim_sources":{"src1":{"endpoint":"https://graph.example.org"}}}`, "more groups than the identity provider puts"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var of claims
			require.NoError(t, json.Unmarshal([]byte(test.claims), &of))
			_, _, err := test.names.user(of)
			require.ErrorContains(t, err, test.says)
		})
	}
}
