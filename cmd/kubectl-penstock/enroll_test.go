package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/target"
)

// enrolling is a person with a kubeconfig of their clusters, before a Penstock in a namespace
// of the test alone.
type enrolling struct {
	admin     client.Client
	home      string // kubeconfig of the cluster that Penstock runs in
	namespace string
	prefix    string // of the names of TargetClusters, which are in no namespace
	config    *api.Config
	server    *target.Server
	file      string
}

func newEnrolling(t *testing.T) *enrolling {
	t.Helper()
	admin, err := local.NewClient(env.Admin)
	require.NoError(t, err)
	s := &enrolling{admin: admin, home: local.Kubeconfig, namespace: local.NewNamespace(t), config: api.NewConfig(), server: target.New(t)}
	s.prefix, s.file = s.namespace, filepath.Join(t.TempDir(), "fleet.yaml")
	t.Cleanup(func() {
		_, err := local.Kubectl(context.WithoutCancel(t.Context()), "delete", "targetclusters", "-l", "test="+s.prefix)
		require.NoError(t, err)
	})
	return s
}

// context adds one to the kubeconfig.
func (s *enrolling) context(t *testing.T, name string, changes ...func(*api.Cluster, *api.AuthInfo)) {
	t.Helper()
	one, err := clientcmd.Load(s.server.Kubeconfig(t, changes...))
	require.NoError(t, err)
	s.config.Clusters[name], s.config.AuthInfos[name] = one.Clusters["target"], one.AuthInfos["target"]
	s.config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	require.NoError(t, clientcmd.WriteToFile(*s.config, s.file))
}

// run runs kubectl penstock clusters.
func (s *enrolling) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	all := append([]string{"clusters"}, args...)
	if args[0] == "remove" {
		all = append(all, "--kubeconfig", s.home)
	} else {
		all = append(all, "--kubeconfig", s.file, "--penstock-kubeconfig", s.home, "--labels", "test="+s.prefix)
	}
	code = run(t.Context(), append(all, "--server-namespace", s.namespace), &stdout, &stderr)
	require.NotContains(t, stderr.String(), target.Token)
	return code, stdout.String(), stderr.String()
}

func (s *enrolling) objects(t *testing.T, name string) (*corev1.Secret, *v1alpha1.TargetCluster) {
	t.Helper()
	secret, cluster := &corev1.Secret{}, &v1alpha1.TargetCluster{}
	require.NoError(t, s.admin.Get(t.Context(), client.ObjectKey{Name: name}, cluster))
	require.NoError(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, secret))
	return secret, cluster
}

// isGone requires that neither object of that name is there.
func (s *enrolling) isGone(t *testing.T, name string) {
	t.Helper()
	require.True(t, apierrors.IsNotFound(s.admin.Get(t.Context(), client.ObjectKey{Name: name}, &v1alpha1.TargetCluster{})), name)
	require.True(t, apierrors.IsNotFound(s.admin.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &corev1.Secret{})), name)
}

func TestAClusterIsAddedOfAContextAndRemovedAgain(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	name := s.prefix + "-eu"
	code, out, errOut := s.run(t, "add", name, "--context", "eu", "--labels", "region=eu")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "created")
	require.Contains(t, errOut, "--least-rights stores a token that may only read")
	secret, cluster := s.objects(t, name)
	config, err := fleet.Parse(secret.Data["kubeconfig"])
	require.NoError(t, err)
	require.Equal(t, s.server.URL+" "+target.Token, config.Host+" "+config.BearerToken)
	require.Equal(t, cluster.UID, secret.OwnerReferences[0].UID, "kubectl delete targetcluster takes the credentials along")
	require.Equal(t, "eu", cluster.Labels["region"])
	require.Equal(t, name, cluster.Spec.KubeconfigSecretRef.Name)

	cluster.Labels["by"] = "hand"
	require.NoError(t, s.admin.Update(t.Context(), cluster))
	version := secret.ResourceVersion
	code, out, errOut = s.run(t, "add", name, "--context", "eu")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "unchanged")
	secret, cluster = s.objects(t, name)
	require.Equal(t, version, secret.ResourceVersion)
	require.Equal(t, "hand", cluster.Labels["by"])

	s.context(t, "eu", func(_ *api.Cluster, user *api.AuthInfo) { user.Token = "rotated" })
	code, out, errOut = s.run(t, "add", name, "--context", "eu")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "updated")
	secret, _ = s.objects(t, name)
	require.Contains(t, string(secret.Data["kubeconfig"]), "rotated")

	code, _, errOut = s.run(t, "remove", name)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errOut, "use --yes")
	code, _, errOut = s.run(t, "remove", name[:len(name)-1], "--yes")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, fmt.Sprintf("did you mean %q?", name))
	code, out, errOut = s.run(t, "remove", name, "--yes")
	require.Zero(t, code, errOut)
	require.Equal(t, "targetcluster/"+name+" removed\nsecret/"+name+" removed\n", out)
	s.isGone(t, name)
}

func TestASecretThatOthersHaveMadeOrUseIsKept(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	used, own := s.prefix+"-used", s.prefix+"-own"
	code, _, errOut := s.run(t, "add", used, "--context", "eu")
	require.Zero(t, code, errOut)
	second := given.TargetCluster(own, given.Labelled("test", s.prefix), func(c *v1alpha1.TargetCluster) { c.Spec.KubeconfigSecretRef.Name = used })
	require.NoError(t, s.admin.Create(t.Context(), second))
	code, out, errOut := s.run(t, "remove", used, "--yes")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "is used by TargetCluster "+own+" as well: it was kept")

	foreign := s.prefix + "-foreign"
	require.NoError(t, s.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: foreign}}))
	require.NoError(t, s.admin.Create(t.Context(), given.TargetCluster(foreign, given.Labelled("test", s.prefix))))
	code, _, errOut = s.run(t, "add", foreign, "--context", "eu")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "TargetCluster "+foreign+" exists, and was not made by kubectl penstock clusters")
	code, out, errOut = s.run(t, "remove", foreign, "--yes")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "was not made by kubectl penstock clusters: it was kept")
	require.NoError(t, s.admin.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: foreign}, &corev1.Secret{}))
}

func TestWhatCantBeAddedIsToldAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	s.context(t, "exec", func(_ *api.Cluster, user *api.AuthInfo) {
		user.Exec = &api.ExecConfig{Command: "aws", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
	})
	name := s.prefix + "-x"
	noRight := person(t, false).kubeconfig
	for sentence, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a program":                     {[]string{"add", name, "--context", "exec"}, exitFailed, `from context "exec": user.exec runs the program "aws"`},
		"a context that is not":         {[]string{"add", name, "--context", "gone"}, exitFailed, `no context "gone"`},
		"a name that is not one":        {[]string{"add", "EU_1", "--context", "eu"}, exitUsage, `"EU_1" is not a valid name: did you mean "eu-1"?`},
		"a name with slashes":           {[]string{"add", "../eu", "--context", "eu"}, exitUsage, `did you mean "eu"?`},
		"a label that is not one":       {[]string{"add", name, "--context", "eu", "--labels", "a=b c"}, exitUsage, "--labels a=b c"},
		"the label of what was written": {[]string{"add", name, "--context", "eu", "--labels", "app.kubernetes.io/managed-by=me"}, exitUsage, "the command sets this label itself"},
		"no name":                       {[]string{"add", "--context", "eu"}, exitUsage, "add NAME"},
		"no right":                      {[]string{"add", name, "--context", "eu", "--penstock-kubeconfig", noRight}, exitRefused, "is forbidden"},
		"a namespace that is not":       {[]string{"add", name, "--context", "eu", "--server-namespace", "gone"}, exitFailed, "name Penstock's namespace by --server-namespace"},
		"a dry run":                     {[]string{"add", name, "--context", "eu", "--dry-run"}, 0, "note:"},
		"import of nothing known":       {[]string{"import"}, exitUsage, "must be kubeconfig or argocd"},
		"import of one context":         {[]string{"import", "--from", "kubeconfig", "--context", "eu"}, exitUsage, "clusters add NAME --context eu"},
		"Argo CD that is not":           {[]string{"import", "--from", "argocd", "-n", s.namespace, "--kubeconfig", s.home}, exitFailed, "name Argo CD's namespace by -n"},
		"a typing error":                {[]string{"imprt"}, exitUsage, `did you mean "import"?`},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			args := []string{"clusters", "--kubeconfig", s.file, "--penstock-kubeconfig", s.home, "--server-namespace", s.namespace}
			if test.args[0] == "imprt" {
				args = args[:1]
			}
			code := run(t.Context(), append(args, test.args...), &stdout, &stderr)
			require.Equal(t, test.code, code, stderr.String())
			require.Contains(t, stderr.String(), test.says)
			s.isGone(t, name)
		})
	}
}

func TestACandidateOfAnotherSourceDoesNotTakeAName(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	s.context(t, "us")
	name := s.prefix + "-x"
	code, _, errOut := s.run(t, "add", name, "--context", "eu")
	require.Zero(t, code, errOut)
	code, _, errOut = s.run(t, "add", name, "--context", "us")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "was made from context eu: choose another name, or remove it by kubectl penstock clusters remove "+name)
}

// Many kubeconfigs have a context "default".
func TestAContextOfTheSameNameThatIsAnotherClusterDoesNotTakeItsPlace(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "default")
	name := s.prefix + "-x"
	code, _, errOut := s.run(t, "add", name, "--context", "default")
	require.Zero(t, code, errOut)
	before, _ := s.objects(t, name)
	s.context(t, "default", func(cluster *api.Cluster, _ *api.AuthInfo) { cluster.Server = "https://elsewhere.example.com" })
	code, _, errOut = s.run(t, "add", name, "--context", "default")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "is the cluster at "+s.server.URL+", and context default is another one: choose another name")
	after, _ := s.objects(t, name)
	require.Equal(t, before.ResourceVersion, after.ResourceVersion)
}

func TestAClusterThatIsReachedInAnotherWayByNowIsNotChanged(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	name := s.prefix + "-x"
	code, _, errOut := s.run(t, "add", name, "--context", "eu")
	require.Zero(t, code, errOut)
	_, cluster := s.objects(t, name)
	cluster.Spec = v1alpha1.TargetClusterSpec{Virtual: true}
	require.NoError(t, s.admin.Update(t.Context(), cluster))
	code, _, errOut = s.run(t, "add", name, "--context", "eu")
	require.Equal(t, exitFailed, code)
	require.Contains(t, errOut, "TargetCluster "+name+" has no kubeconfigSecretRef any more")
	_, cluster = s.objects(t, name)
	require.True(t, cluster.Spec.Virtual)
}

func TestWhatAClusterAnswersDoesNotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	s.server.Handle("/api/v1/namespaces/penstock-target/secrets/penstock-target", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"no\u001b[2Jright\nat all"}`)
	})
	code, _, errOut := s.run(t, "add", s.prefix+"-x", "--context", "eu", "--least-rights")
	require.Equal(t, exitRefused, code)
	require.Contains(t, errOut, "no [2Jright\nat all")
	require.NotContains(t, errOut, "\x1b")
}

func TestWhatADryRunPrintsCanBeApplied(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	s.context(t, "eu")
	name := s.prefix + "-eu"
	code, out, errOut := s.run(t, "add", name, "--context", "eu", "--dry-run", "-o", "yaml", "--penstock-kubeconfig", "/nowhere")
	require.Zero(t, code, errOut)
	s.isGone(t, name)
	kubectl, err := env.Part("kubectl")
	require.NoError(t, err)
	apply := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", s.home, "apply", "-f", "-")
	apply.Stdin = strings.NewReader(out)
	printed, err := apply.CombinedOutput()
	require.NoError(t, err, string(printed))
	_, cluster := s.objects(t, name)
	require.Equal(t, s.prefix, cluster.Labels["test"])
	code, out, errOut = s.run(t, "add", name, "--context", "eu")
	require.Zero(t, code, errOut)
	require.Contains(t, out, "unchanged", "it is the same that the command writes")
}

func TestAllContextsAreImportedAndWhatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	eu, gke := s.prefix+"_EU", "gke_"+s.prefix+"_zone_prod"
	s.context(t, eu)
	s.context(t, gke)
	s.config.Contexts["again"] = s.config.Contexts[eu]
	s.context(t, s.prefix+"-cloud", func(_ *api.Cluster, user *api.AuthInfo) {
		user.Token, user.Exec = "", &api.ExecConfig{Command: "aws", APIVersion: "client.authentication.k8s.io/v1", InteractiveMode: "Never"}
	})
	const missing = "1 of 3 clusters were not added\n"
	code, out, errOut := s.run(t, "import", "--from", "kubeconfig", "--dry-run", "-o", "yaml")
	require.Equal(t, exitPartial, code, errOut)
	require.Contains(t, errOut, missing, "one that is listed twice counts once")
	require.NotEmpty(t, out)
	code, out, errOut = s.run(t, "import", "--from", "kubeconfig")
	require.Equal(t, exitPartial, code, errOut)
	require.Contains(t, errOut, missing+"  context "+s.prefix+`-cloud: user.exec runs the program "aws"`)
	rows := map[string][]string{}
	for _, row := range strings.Split(columns(out, -1), "\n")[1:] {
		cells := strings.Split(row, " | ")
		rows[cells[1]] = cells
	}
	require.Len(t, rows, 4, "a line for each")
	name := "gke-" + s.prefix + "-zone-prod"
	require.Equal(t, []string{name, "created"}, []string{rows["context "+gke][0], rows["context "+gke][2]})
	require.Equal(t, "skipped", rows["context "+s.prefix+"-cloud"][2])
	require.Equal(t, "duplicate", rows["context "+eu][2], "of equal contexts the first counts")
	s.objects(t, name)
	s.objects(t, "again")

	code, out, errOut = s.run(t, "import", "--from", "kubeconfig", "-o", "json")
	require.Equal(t, exitPartial, code, errOut)
	var list struct{ Items []outcome }
	require.NoError(t, json.Unmarshal([]byte(out), &list), out)
	for _, one := range list.Items {
		require.Contains(t, []string{"unchanged", "skipped", "duplicate"}, one.Result)
	}
	code, _, errOut = s.run(t, "remove", "again", "--yes")
	require.Zero(t, code, errOut)
}

func TestAClusterWithoutTheAccountCostsNoOtherOfAnImport(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	const account = "/api/v1/namespaces/penstock-target/secrets/penstock-target"
	names := make([]string, 14)
	for i := range names {
		s.server = target.New(t)
		names[i] = fmt.Sprintf("%s-%02d", s.prefix, i)
		s.context(t, names[i])
		switch i {
		case 0:
			s.server.Handle(account, target.Cut)
		case 5:
			s.server.Handle(account, target.Status(http.StatusNotFound))
		default:
			s.server.Handle(account, target.JSON(corev1.Secret{
				TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metav1.ObjectMeta{Name: "penstock-target"},
				Data: map[string][]byte{"token": []byte("least")},
			}))
		}
	}
	code, out, errOut := s.run(t, "import", "--from", "kubeconfig", "--least-rights")
	require.Equal(t, exitPartial, code, errOut)
	require.Contains(t, errOut, "2 of 14 clusters were not added\n  context "+names[0]+": read the Secret")
	require.Contains(t, errOut, "  context "+names[5]+": the Secret penstock-target/penstock-target is not there")
	rows := strings.Split(columns(out, 3), "\n")[1:]
	for i, name := range names {
		result := "created"
		if i == 0 || i == 5 {
			result = skipped
		}
		require.Equal(t, name+" | context "+name+" | "+result, rows[i], "a line for each, in order")
	}
	for _, i := range []int{1, 6, 13} {
		secret, _ := s.objects(t, names[i])
		require.Contains(t, string(secret.Data["kubeconfig"]), "least")
	}
	s.isGone(t, names[0])
}

func TestTheClustersOfArgoCDAreImportedWithTheirLabels(t *testing.T) {
	t.Parallel()
	s := newEnrolling(t)
	argo := local.NewNamespace(t)
	put := func(name, config string) {
		require.NoError(t, s.admin.Create(t.Context(), &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: argo, Name: name, Labels: map[string]string{"argocd.argoproj.io/secret-type": "cluster", "region": "eu"}},
			Data:       map[string][]byte{"name": []byte(s.prefix + "/" + name), "server": []byte(s.server.URL), "config": []byte(config)},
		}))
	}
	authority := base64.StdEncoding.EncodeToString(s.server.CA())
	put("token", fmt.Sprintf(`{"bearerToken":%q,"tlsClientConfig":{"insecure":false,"caData":%q}}`, target.Token, authority))
	put("eks", `{"awsAuthConfig":{"clusterName":"prod"},"tlsClientConfig":{"insecure":false}}`)
	s.file = s.home // Argo CD is where Penstock is
	code, out, errOut := s.run(t, "import", "--from", "argocd", "-n", argo)
	require.Equal(t, exitPartial, code, errOut)
	require.Contains(t, errOut, "Secret "+argo+`/eks: awsAuthConfig asks AWS for the credentials of "prod"`)
	require.Contains(t, out, "created")
	secret, cluster := s.objects(t, s.prefix+"-token")
	require.Equal(t, "eu", cluster.Labels["region"])
	config, err := fleet.Parse(secret.Data["kubeconfig"])
	require.NoError(t, err)
	require.Equal(t, target.Token, config.BearerToken)
	code, out, _ = s.run(t, "import", "--from", "argocd", "-n", argo, "-o", "name")
	require.Equal(t, exitPartial, code)
	require.Equal(t, "targetcluster/"+s.prefix+"-token\n", out)
}

func TestOnlyYesRemoves(t *testing.T) {
	t.Parallel()
	for answer, removes := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "\n": false, "": false, "no\n": false, "yy\n": false} {
		var asked bytes.Buffer
		err := ask(strings.NewReader(answer), &asked, "Remove it? ")
		require.Equal(t, removes, err == nil, answer)
		require.Equal(t, "Remove it? ", asked.String())
	}
	require.False(t, isTerminal(strings.NewReader("")))
}
