package enroll

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/target"
)

// contextOf is a kubeconfig whose context "a" is that of the server, changed.
func contextOf(t *testing.T, server *target.Server, changes ...func(*api.Cluster, *api.AuthInfo)) *api.Config {
	t.Helper()
	config, err := clientcmd.Load(server.Kubeconfig(t, changes...))
	require.NoError(t, err)
	config.Contexts["a"] = config.Contexts["target"]
	delete(config.Contexts, "target")
	return config
}

// probed requires that a candidate reaches a healthy cluster.
func probed(t *testing.T, found Candidate) {
	t.Helper()
	require.NoError(t, found.Err)
	config, err := fleet.Parse(found.Kubeconfig)
	require.NoError(t, err)
	client, err := fleet.NewClient(config)
	require.NoError(t, err)
	defer client.Close()
	require.Nil(t, fleet.Probe(t.Context(), client, nil).Failure)
}

func TestAContextIsStoredWithTheCertificatesOfItsFiles(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, server.CA(), 0o600))
	config := contextOf(t, server, func(cluster *api.Cluster, _ *api.AuthInfo) {
		cluster.CertificateAuthorityData, cluster.CertificateAuthority = nil, file
	})
	config.AuthInfos["other"] = &api.AuthInfo{Token: "of-another-user"}
	found := FromContext(t.Context(), config, "a", OfContext)
	probed(t, found)
	require.NotContains(t, string(found.Kubeconfig), "of-another-user", "only what the context needs is stored")
	require.Contains(t, found.Note, "Penstock's pods do not reach")
	require.Equal(t, file, config.Clusters["target"].CertificateAuthority, "the person's own kubeconfig is not changed")
}

func TestAContextThatCantBeStoredIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	for sentence, test := range map[string]struct {
		change func(*api.Cluster, *api.AuthInfo)
		says   string
	}{
		"a program": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.Token, user.Exec = "", &api.ExecConfig{Command: "aws", Args: []string{"hunter2"}, APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
		}, `user.exec runs the program "aws", which Penstock does not: give Penstock an account of its own by kubectl --context "a" apply -k config/target, and use --least-rights`},
		"a plugin": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.AuthProvider = &api.AuthProviderConfig{Name: "gcp", Config: map[string]string{"access-token": "hunter2"}}
		}, `user.auth-provider runs the plugin "gcp"`},
		"a file with a token": {func(_ *api.Cluster, user *api.AuthInfo) { user.TokenFile = "/tmp/token" }, "whose token is renewed there, while a copy would expire"},
		"a certificate in a file that is not there": {func(_ *api.Cluster, user *api.AuthInfo) {
			user.Token, user.ClientCertificate, user.ClientKey = "", "/nowhere/tls.crt", "/nowhere/tls.key"
		}, "/nowhere/tls.crt: no such file"},
		"no credentials":         {func(_ *api.Cluster, user *api.AuthInfo) { user.Token = "" }, "there are no credentials"},
		"an address without TLS": {func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.Server = "http://api" }, "does not begin with https://"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			found := FromContext(t.Context(), contextOf(t, server, test.change), "a", OfContext)
			require.ErrorContains(t, found.Err, test.says)
			require.NotContains(t, found.Err.Error(), "hunter2")
			require.Empty(t, found.Kubeconfig)
		})
	}
	found := FromContext(t.Context(), contextOf(t, server), "b", OfContext)
	require.ErrorContains(t, found.Err, `no context "b": kubectl config get-contexts`)
}

func TestAllContextsAreFoundOnceAndCollisionsAreTold(t *testing.T) {
	t.Parallel()
	config := contextOf(t, target.New(t))
	whole := config.Contexts["a"]
	for name, of := range map[string][2]string{"a/shop": {"target", "target"}, "C_1": {"c", "target"}, "c-1": {"c", "second"}, "broken": {"gone", "target"}, "___": {"d", "target"}} {
		config.Contexts[name] = &api.Context{Cluster: of[0], AuthInfo: of[1]}
	}
	config.Clusters["c"], config.Clusters["d"] = config.Clusters[whole.Cluster], config.Clusters[whole.Cluster]
	config.AuthInfos["second"] = config.AuthInfos[whole.AuthInfo]
	var told []string
	for _, found := range FromContexts(t.Context(), config, OfContext, func() {}) {
		line := found.From + " → " + found.Name
		switch {
		case found.SameAs != "":
			line += "same as " + found.SameAs
		case found.Err != nil:
			line += ": " + found.Err.Error()
		}
		told = append(told, line)
	}
	const collision = "context C_1 and context c-1 would all have the name c-1: rename them, or add each by kubectl penstock clusters add NAME"
	require.Equal(t, []string{
		"context C_1 → c-1: " + collision,
		`context ___ → : "___" has no letter and no digit that a name could be made of: add it by kubectl penstock clusters add NAME`,
		"context a → a", "context a/shop → same as context a",
		`context broken → broken: the kubeconfig has no cluster "gone", which context "broken" names: correct the context`,
		"context c-1 → c-1: " + collision,
	}, told)
}

func TestWithLeastRightsTheTokenOfTheAccountIsStored(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	const path = "/api/v1/namespaces/penstock-target/secrets/penstock-target"
	config := contextOf(t, server)
	server.Handle(path, target.Status(404))
	require.ErrorContains(t, FromContext(t.Context(), config, "a", OfAccount).Err, `make the account by kubectl --context "a" apply -k config/target`)
	server.Handle(path, target.Status(403))
	require.ErrorContains(t, FromContext(t.Context(), config, "a", OfAccount).Err, "read the Secret penstock-target/penstock-target of context")

	secret := corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Namespace: account, Name: account}}
	server.Handle(path, target.JSON(secret))
	require.ErrorContains(t, FromContext(t.Context(), config, "a", OfAccount).Err, "has no token yet: try again in a moment")
	secret.Data = map[string][]byte{"token": []byte("least"), "ca.crt": []byte("another")}
	server.Handle(path, target.JSON(secret))
	found := FromContext(t.Context(), config, "a", OfAccount)
	require.NotContains(t, string(found.Kubeconfig), target.Token, "the context's own credentials are not stored")
	server.Accept("least")
	probed(t, found)
}

// argoCD is a Secret of Argo CD.
func argoCD(name, server string, config any) corev1.Secret {
	text, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	return corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "argocd", Name: "cluster-" + name, Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster", "app.kubernetes.io/instance": "clusters", "region": "eu"}},
		Data:       map[string][]byte{"name": []byte(name), "server": []byte(server), "config": text},
	}
}

func TestClustersOfArgoCDAreTakenOrNamed(t *testing.T) {
	t.Parallel()
	server := target.New(t)
	type object = map[string]any
	authority := object{"insecure": false, "caData": base64.StdEncoding.EncodeToString(server.CA())}
	secrets := []corev1.Secret{
		argoCD("Token", server.URL, object{"bearerToken": target.Token, "tlsClientConfig": authority}),
		argoCD("password", server.URL, object{"username": "ann", "password": "hunter2", "tlsClientConfig": authority}),
		argoCD("insecure", server.URL, object{"bearerToken": target.Token, "tlsClientConfig": object{"insecure": true, "serverName": "api"}}),
		argoCD("exec", server.URL, object{"execProviderConfig": object{"command": "argocd-k8s-auth", "args": []string{"hunter2"}}}),
		argoCD("aws", server.URL, object{"awsAuthConfig": object{"clusterName": "prod", "roleARN": "hunter2"}}),
		argoCD("home", "https://kubernetes.default.svc", object{"tlsClientConfig": object{"insecure": false}}),
		argoCD("nothing", server.URL, object{}),
		argoCD("odd", server.URL, "hunter2"),
	}
	unnamed := argoCD("unnamed", server.URL, object{"bearerToken": target.Token, "tlsClientConfig": authority})
	delete(unnamed.Data, "name")
	found := map[string]Candidate{}
	for _, one := range FromArgoCD(append(secrets, unnamed)) {
		require.Equal(t, map[string]string{"region": "eu"}, one.Labels)
		require.NotContains(t, fmt.Sprint(one.Err), "hunter2")
		found[one.Name] = one
	}
	probed(t, found["token"])
	probed(t, found["insecure"])
	probed(t, found["cluster-unnamed"])
	require.NoError(t, found["password"].Err)
	require.Equal(t, "Secret argocd/cluster-Token", found["token"].From)
	for name, says := range map[string]string{
		"exec": `execProviderConfig runs the program "argocd-k8s-auth"`, "aws": `awsAuthConfig asks AWS for the credentials of "prod"`,
		"home": "it is the cluster of Argo CD itself", "nothing": "there are no credentials", "odd": "its config is not the JSON that Argo CD writes",
	} {
		require.ErrorContains(t, found[name].Err, says)
		require.Empty(t, found[name].Kubeconfig)
	}
}
