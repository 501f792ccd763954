package server_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// expired is a token like this one, but of yesterday.
func expired(t *testing.T, token string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(local.Dir, "data", "service-account.key"))
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	key, err := x509.ParseECPrivateKey(block.Bytes)
	require.NoError(t, err)
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	claims := map[string]any{}
	require.NoError(t, json.Unmarshal(payload, &claims))
	yesterday := time.Now().Add(-24 * time.Hour).Unix()
	claims["iat"], claims["nbf"], claims["exp"] = yesterday, yesterday, yesterday+3600
	payload, err = json.Marshal(claims)
	require.NoError(t, err)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	require.NoError(t, err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestWhoIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	namespace, name := s.person(t)
	valid := s.token(namespace, name)
	gone, goneName := s.person(t)
	ofNobody := s.token(gone, goneName)
	require.NoError(t, s.kube.CoreV1().ServiceAccounts(gone).Delete(t.Context(), goneName, metav1.DeleteOptions{}))
	// The API server believes for 10 s that the account is there, unless it is asked anew.
	const noCredentials, notOfTheForm, notValid = "no credentials", "not of the form", "not valid for this server"
	tests := map[string]struct {
		header, detail string
	}{
		"without credentials":                         {"", noCredentials},
		"with a password":                             {"Basic YWRtaW46YWRtaW4=", notOfTheForm},
		"with an empty token":                         {"Bearer ", notOfTheForm},
		"with a token that nobody has issued":         {"Bearer guessed", notValid},
		"with a token that has expired":               {"Bearer " + expired(t, valid), notValid},
		"with a token for another audience":           {"Bearer " + s.token(namespace, name, "https://other.example"), notValid},
		"with a token whose signature was changed":    {"Bearer " + valid[:len(valid)-4] + "AAAA", notValid},
		"with a token of an account that was deleted": {"Bearer " + ofNobody, notValid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := []string{}
			if test.header != "" {
				headers = []string{"Authorization", test.header}
			}
			for _, path := range []string{"/api/v1/queue", "/api/v1/events?watch=true", "/metrics", "/nowhere"} {
				got := s.send(t, s.client, http.MethodGet, path, nil, headers...)
				require.Contains(t, got.detail(t, http.StatusUnauthorized), test.detail)
				require.Equal(t, `Bearer realm="penstock"`, got.header.Get("WWW-Authenticate"))
			}
		})
	}
	require.Equal(t, http.StatusForbidden, s.get(t, valid, "/api/v1/queue").status, "the token itself is good")
	require.Contains(t, s.log.String(), "request refused")
	require.NotContains(t, s.log.String(), valid, "no token is logged")
}

func TestAClientCertificateOfTheClustersCAIsAUser(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	s.bind(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "developers"}, "penstock-reader")
	require.Eventually(t, func() bool {
		return s.send(t, s.newClient(clientCA.issue("nobody", nil)), http.MethodGet, "/nowhere", nil).status == http.StatusNotFound
	}, patience, look, "the server has not read the CA")
	tests := map[string]struct {
		certificate *tls.Certificate
		status      int
	}{
		"of a member of a group that may read": {clientCA.issue("ada", []string{"developers"}), http.StatusOK},
		"of somebody who may not":              {clientCA.issue("bob", nil), http.StatusForbidden},
		"of another CA":                        {newAuthority("clients").issue("ada", []string{"developers"}), http.StatusUnauthorized},
		"that has expired":                     {clientCA.issue("ada", []string{"developers"}, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), http.StatusUnauthorized},
		"that is for servers":                  {clientCA.issue("ada", []string{"developers"}, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), http.StatusUnauthorized},
		"without a name":                       {clientCA.issue("", []string{"developers"}), http.StatusUnauthorized},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.send(t, s.newClient(test.certificate), http.MethodGet, "/api/v1/queue", nil)
			require.Equal(t, test.status, got.status, string(got.body))
		})
	}
}

func TestImpersonationNeedsTheVerb(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	readers := local.NewNamespace(t)
	home, name := s.person(t)
	token := s.token(home, name)
	role, err := s.kube.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "impersonate-"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"users"}, ResourceNames: []string{"ada"}, Verbs: []string{"impersonate"}},
			{APIGroups: []string{""}, Resources: []string{"groups"}, ResourceNames: []string{"developers-of-" + readers}, Verbs: []string{"impersonate"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	s.bind(t, rbacv1.Subject{Kind: "ServiceAccount", Namespace: home, Name: name}, role.Name)
	s.bind(t, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "developers-of-" + readers}, "penstock-reader", readers)
	s.awaitRight(t, "system:serviceaccount:"+home+":"+name, authorizationv1.ResourceAttributes{Verb: "impersonate", Resource: "users", Name: "ada"})
	path := "/api/v1/namespaces/" + readers + "/applications"
	tests := map[string]struct {
		headers []string
		status  int
		detail  string
	}{
		"as oneself, who may not read":       {nil, http.StatusForbidden, `user "system:serviceaccount:` + home},
		"as a user of a group that may read": {[]string{"Impersonate-User", "ada", "Impersonate-Group", "developers-of-" + readers}, http.StatusOK, ""},
		"as a user who may not read":         {[]string{"Impersonate-User", "ada"}, http.StatusForbidden, `user "ada" may not list`},
		"as a user whom one may not be":      {[]string{"Impersonate-User", "root"}, http.StatusForbidden, `may not impersonate user "root"`},
		"as a group that one may not be in":  {[]string{"Impersonate-User", "ada", "Impersonate-Group", "system:masters"}, http.StatusForbidden, `may not impersonate group "system:masters"`},
		"as a service account":               {[]string{"Impersonate-User", "system:serviceaccount:kube-system:x"}, http.StatusForbidden, "may not impersonate service account"},
		"with something extra":               {[]string{"Impersonate-User", "ada", "Impersonate-Extra-Scopes", "all"}, http.StatusForbidden, `may not impersonate extra scopes "all"`},
		"with another UID":                   {[]string{"Impersonate-User", "ada", "Impersonate-Uid", "1"}, http.StatusForbidden, `may not impersonate UID "1"`},
		"as a group without a user":          {[]string{"Impersonate-Group", "developers-of-" + readers}, http.StatusBadRequest, "without Impersonate-User"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.get(t, token, path, test.headers...)
			if test.status == http.StatusOK {
				require.Equal(t, http.StatusOK, got.status, string(got.body))
				return
			}
			require.Contains(t, got.detail(t, test.status), test.detail)
		})
	}
}
