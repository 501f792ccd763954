package fleet

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/test/target"
)

func TestAKubeconfigIsReadOrRefusedWithTheFieldsName(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	type change = func(*api.Cluster, *api.AuthInfo)
	for sentence, tc := range map[string]struct {
		change  change
		refusal string
	}{
		"a token and an authority are all that is needed": {func(*api.Cluster, *api.AuthInfo) {}, ""},
		"a user name and a password are taken": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.Token, user.Username, user.Password = "", "ann", "hunter2"
		}, ""},
		"a proxy is taken": {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.ProxyURL = "http://proxy:3128" }, ""},
		"a program is refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.Exec = &api.ExecConfig{Command: "/bin/steal", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
		}, "user.exec would run a program; use a token"},
		"a plugin is refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.AuthProvider = &api.AuthProviderConfig{Name: "gcp"}
		}, "user.auth-provider would run a plugin"},
		"a file with a token is refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.TokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
		}, "user.tokenFile names a file of Penstock's pod"},
		"a file with a certificate is refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.ClientCertificate = "/etc/tls.crt"
		}, "user.client-certificate names a file"},
		"a file with a key is refused":        {func(_ *api.Cluster, user *api.AuthInfo) { user.ClientKey = "/etc/tls.key" }, "user.client-key names a file"},
		"a file with an authority is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.CertificateAuthority = "/etc/ca.crt" }, "cluster.certificate-authority names a file"},
		"an address in clear text is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.Server = "http://api" }, "cluster.server does not begin with https://"},
		"no address is refused":               {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.Server = "" }, "cluster.server is not a URL"},
		"an address with a password is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) {
			cluster.Server = "https://ann:hunter2@api"
		}, "cluster.server holds a user name"},
		"an authority that is none is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) {
			cluster.CertificateAuthorityData = []byte("hunter2")
		}, "cluster.certificate-authority-data holds no certificate"},
		"an authority beside no check is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) {
			cluster.InsecureSkipTLSVerify = true
		}, "cluster.insecure-skip-tls-verify and cluster.certificate-authority-data are both set"},
		"a certificate without a key is refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.ClientCertificateData = server.CA()
		}, "user.client-certificate-data and user.client-key-data are not a certificate and its key"},
		"two kinds of credentials are refused": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.Username, user.Password = "ann", "hunter2"
		}, "user.token and user.username are both set"},
		"a proxy that is none is refused": {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.ProxyURL = "hunter2" }, "cluster.proxy-url is not a URL"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			config, err := Parse(server.Kubeconfig(t, tc.change))
			if tc.refusal == "" {
				require.NoError(t, err)
				require.Equal(t, server.URL, config.Host)
				return
			}
			requireRefused(t, err, tc.refusal)
		})
	}
}

func requireRefused(t *testing.T, err error, refusal string) {
	t.Helper()
	var failure *Failure
	require.ErrorAs(t, err, &failure)
	require.Equal(t, BadKubeconfig, failure.Class)
	require.Contains(t, failure.Message, refusal)
	require.NotContains(t, failure.Message, "hunter2", "no value is repeated")
}

func TestWhatIsNoKubeconfigIsRefusedWithoutQuotingIt(t *testing.T) {
	t.Parallel()
	whole := string(target.New(t).Kubeconfig(t))
	for sentence, tc := range map[string]struct{ text, refusal string }{
		"nothing":                           {"", "it is empty"},
		"a password alone":                  {"hunter2", "it is not a kubeconfig"},
		"broken YAML tells the line":        {"apiVersion: v1\nkind: Config\nusers: [hunter2", "it is not a kubeconfig in YAML or JSON (line 3)"},
		"another kind":                      {"apiVersion: v1\nkind: Secret\ndata: {password: hunter2}", "it is not a kubeconfig"},
		"an empty object":                   {"{}", "current-context is not set"},
		"a megabyte":                        {strings.Repeat("# hunter2\n", 100<<10), "at most 262144 are read"},
		"a current context that is missing": {strings.Replace(whole, "current-context: target", "current-context: hunter2", 1), "contexts has no entry"},
		"a cluster that is missing":         {strings.Replace(whole, "cluster: target", "cluster: hunter2", 1), "clusters has no entry"},
		"a user that is missing":            {strings.Replace(whole, "user: target", "user: hunter2", 1), "users has no entry"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tc.text))
			requireRefused(t, err, tc.refusal)
		})
	}
}

// What the current context does not use is neither run nor read.
func TestOnlyTheCurrentContextCounts(t *testing.T) {
	t.Parallel()
	text := target.New(t).Kubeconfig(t)
	text = bytes.Replace(text, []byte("users:\n"), []byte("users:\n- name: other\n  user: {tokenFile: /etc/passwd}\n"), 1)
	_, err := Parse(text)
	require.NoError(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: https://a}}]\nusers: [{name: a, user: {token: a}}]\n"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := Parse(text)
		if err != nil {
			var failure *Failure
			require.ErrorAs(t, err, &failure)
			return
		}
		require.Empty(t, config.BearerTokenFile+config.CAFile+config.CertFile+config.KeyFile)
		require.Nil(t, config.ExecProvider)
		require.Nil(t, config.AuthProvider)
		made, err := NewClient(config)
		if err == nil {
			made.Close()
		}
	})
}
