package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/given"
)

const patience = 30 * time.Second

// running is a server over one build of an application, once for all tests. It publishes
// its address.
var running = sync.OnceValues(func() (*env.Server, error) {
	ctx := context.Background()
	if err := local.InstallServer(ctx); err != nil {
		return nil, err
	}
	wanted := store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 4}
	if err := store.Migrate(ctx, wanted); err != nil {
		return nil, err
	}
	rows, err := store.Open(ctx, wanted)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if err := fill(ctx, rows); err != nil {
		return nil, err
	}
	return local.StartServer(ctx, env.ServerOptions{})
})

func fill(ctx context.Context, rows *store.Store) error {
	build, pipelines := given.Build("shop-1"), append(given.CdPipelines(2, "web"), *given.CdPipeline("old", given.Suspended))
	if err := rows.MirrorCiPipelines(ctx, []store.MirroredCiPipeline{{UID: "ci", Namespace: given.Namespace, Name: given.CI, Application: "shop", SpecHash: "1"}}); err != nil {
		return err
	}
	for i := range pipelines {
		mirrored := store.MirroredCdPipeline{
			UID: string(pipelines[i].UID), Namespace: given.Namespace, Name: pipelines[i].Name, Application: "shop", Environment: "staging",
			ParentKind: "CiPipeline", ParentName: given.CI, SpecHash: "1", Suspended: pipelines[i].Spec.Suspend,
		}
		if err := rows.MirrorCdPipelines(ctx, []store.MirroredCdPipeline{mirrored}); err != nil {
			return err
		}
	}
	filters, err := trigger.NewFilters()
	if err != nil {
		return err
	}
	decisions := trigger.Decider{Filters: filters}.Build(build, given.CiPipeline(given.CI), given.Artifacts(1), pipelines)
	_, err = rows.Plan(ctx, store.BuildPlan{Build: build, Artifacts: given.Artifacts(1), Decisions: decisions})
	return err
}

// plugin runs the command with a kubeconfig.
type plugin struct {
	kubeconfig string
	home       string // the namespace of the service account
}

func (p plugin) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append(args, "--kubeconfig", p.kubeconfig), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// person is a kubeconfig with the token of a new service account, which may read the
// default namespace where reader is true.
func person(t *testing.T, reader bool) plugin {
	t.Helper()
	_, err := running()
	require.NoError(t, err)
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	home := local.NewNamespace(t)
	_, err = kube.CoreV1().ServiceAccounts(home).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "person"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	if reader {
		_, err = kube.RbacV1().RoleBindings(given.Namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "penstock-reader"},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: home, Name: "person"}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	got, err := kube.CoreV1().ServiceAccounts(home).CreateToken(t.Context(), "person", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: local.Config.Host, CertificateAuthorityData: local.Config.CAData}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: got.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"main": {Cluster: "c", AuthInfo: "u"}, "elsewhere": {Cluster: "c", AuthInfo: "u", Namespace: "elsewhere"}},
		CurrentContext: "main",
	}, path))
	return plugin{kubeconfig: path, home: home}
}

// columns is what was printed, with one blank between columns, and without the ages.
func columns(out string, drop int) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(out)) {
		cells := strings.Split(strings.Join(strings.FieldsFunc(strings.ReplaceAll(strings.TrimSpace(line), "   ", "\t"), func(r rune) bool { return r == '\t' }), "\t"), "\t")
		kept := make([]string, 0, len(cells))
		for i, cell := range cells {
			if i != drop {
				kept = append(kept, strings.TrimSpace(cell))
			}
		}
		lines = append(lines, strings.Join(kept, " | "))
	}
	return strings.Join(lines, "\n")
}

func TestThePluginPrintsWhatTheServerAnswers(t *testing.T) {
	t.Parallel()
	p := person(t, true)
	tests := map[string]struct {
		args []string
		drop int // the column of ages
		want string
	}{
		"applications": {[]string{"status"}, -1, "APPLICATION | CI PIPELINES | CD PIPELINES\nshop | 1 | 3"},
		"the trigger view": {[]string{"status", "shop"}, 6, "KIND | PIPELINE | ENVIRONMENT | BUILD | STATE | DEPLOYED\n" +
			"CI | ci | - | shop-1 | Succeeded | -\nCD | old | staging | shop-1 | Skipped/Suspended | -\n" +
			"CD | web-000 | staging | shop-1 | DEPLOY Pending | -\nCD | web-001 | staging | shop-1 | DEPLOY Pending | -"},
		"builds":                  {[]string{"builds"}, 5, "BUILD | PIPELINE | PHASE | RUNS | FAILED\nshop-1 | ci | Succeeded | 0/2 | 0"},
		"a build":                 {[]string{"builds", "shop-1"}, 4, "PIPELINE | DECISION | RUN | STATE\nold | Skipped/Suspended | - | -\nweb-000 | Triggered | 1 | DEPLOY Pending\nweb-001 | Triggered | 2 | DEPLOY Pending"},
		"runs":                    {[]string{"runs", "web-000"}, 4, "RUN | BUILD | OUTCOME | STAGES\n1 | shop-1 | - | DEPLOY:Pending"},
		"an explanation by names": {[]string{"explain", "build", "shop-1", "-o", "name"}, -1, "cdpipeline/old\ncdpipeline/web-000\ncdpipeline/web-001"},
		"the queue":               {[]string{"queue"}, 6, "NAMESPACE | PIPELINE | STAGE | BUILD | REASON | PRIORITY\ndefault | web-000 | DEPLOY | shop-1 | - | 0\ndefault | web-001 | DEPLOY | shop-1 | - | 0"},
		"the queue by names":      {[]string{"queue", "-o", "name", "-A"}, -1, "task/1\ntask/2"},
		"builds by names":         {[]string{"builds", "-o", "name"}, -1, "cibuild/shop-1"},
		"builds as YAML":          {[]string{"builds", "-o", "yaml", "--limit", "1"}, -1, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := p.run(t, append(test.args, "-n", given.Namespace)...)
			require.Zero(t, code, errOut)
			if test.want != "" {
				require.Equal(t, test.want, columns(out, test.drop))
			}
		})
	}
	code, out, errOut := p.run(t, "builds", "-o", "json", "-n", given.Namespace)
	require.Zero(t, code, errOut)
	var list rest.BuildList
	require.NoError(t, json.Unmarshal([]byte(out), &list), out)
	require.Equal(t, "shop-1", list.Items[0].Name)
}

func TestThePluginTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	reader, nobody := person(t, true), person(t, false)
	tests := map[string]struct {
		by   plugin
		args []string
		code int
		want string
	}{
		"a right that is missing":                   {nobody, []string{"builds", "-n", given.Namespace}, exitRefused, "may not list cibuilds.penstock.dev in namespace default"},
		"the namespace of the context":              {reader, []string{"builds", "--context", "elsewhere"}, exitRefused, "in namespace elsewhere"},
		"a user whom one may not be":                {reader, []string{"builds", "--as", "root", "-n", given.Namespace}, exitFailed, "cannot impersonate"},
		"a user whom one may not be, at a server":   {reader, []string{"builds", "--as", "root", "-n", given.Namespace, "--server-ca", "CA", "--server", "URL"}, exitRefused, `may not impersonate user "root"`},
		"a name that nothing has":                   {reader, []string{"builds", "shop-9", "-n", given.Namespace}, exitFailed, "shop-9"},
		"an explanation of a name that nothing has": {reader, []string{"explain", "build", "shop-9", "-n", given.Namespace}, exitFailed, "no build shop-9 is recorded in namespace default"},
		"an explanation of something else":          {reader, []string{"explain", "pod", "web"}, exitUsage, "must be build, pipeline or run"},
		"a run that is no number":                   {reader, []string{"explain", "run", "web"}, exitUsage, "must be the number of a run"},
		"an explanation that one may not see":       {nobody, []string{"explain", "run", "1", "-n", given.Namespace}, exitRefused, "may not get runs.penstock.dev in namespace default"},
		"an application with a typing error":        {reader, []string{"status", "shpo", "-n", given.Namespace}, exitFailed, `did you mean "shop"?`},
		"a command with a typing error":             {reader, []string{"statsu"}, exitUsage, `did you mean "status"?`},
		"a form that is not known":                  {reader, []string{"builds", "-o", "xml"}, exitUsage, "must be one of table, wide, json, yaml, name"},
		"a flag that is not known":                  {reader, []string{"builds", "--sort"}, exitUsage, "unknown flag"},
		"an argument too many":                      {reader, []string{"queue", "now"}, exitUsage, "kubectl penstock queue"},
		"a state that is not known":                 {reader, []string{"queue", "--state", "Odd", "-n", given.Namespace}, exitUsage, "query.state"},
		"a server without TLS":                      {reader, []string{"builds", "--server", "http://localhost"}, exitUsage, "must begin with https://"},
		"a server that is not there":                {reader, []string{"builds", "--server", "https://127.0.0.1:1"}, exitFailed, "connection refused"},
		"a server that is another":                  {reader, []string{"builds", "--server", local.Config.Host}, exitFailed, "certificate"},
		"a namespace without a server":              {reader, []string{"builds", "--server-namespace", "kube-public"}, exitFailed, "name it by --server"},
		"a context that is not there":               {reader, []string{"builds", "--context", "gone"}, exitFailed, `context "gone" does not exist`},
	}
	server, err := running()
	require.NoError(t, err)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, server.CA, 0o600))
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Split(strings.NewReplacer("CA", ca, "URL", server.URL).Replace(strings.Join(test.args, "\n")), "\n")
			code, out, errOut := test.by.run(t, args...)
			require.Equal(t, test.code, code, errOut)
			require.Empty(t, out, "errors are for stderr")
			require.Contains(t, errOut, test.want)
		})
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, out, errOut := person(t, false).run(t, "version")
	require.Zero(t, code, errOut)
	require.Regexp(t, `^plugin: dev\nserver: .+\n$`, out)
}

func TestTheNearestName(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"shpo": "shop", "shop": "shop", "billng": "billing", "x": "", "nothing": ""} {
		require.Equal(t, want, nearest(typed, []string{"shop", "billing"}), typed)
	}
}

func TestThePluginWithoutACommandTellsHowItIsUsed(t *testing.T) {
	t.Parallel()
	code, out, _ := plugin{}.run(t)
	require.Zero(t, code)
	require.Contains(t, out, "Usage:\n  kubectl penstock [flags]\n  kubectl penstock [command]\n")
}

func TestAnOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, full.Close()) })
	for _, args := range [][]string{{"version", "--client"}, {"--help"}} {
		var errOut bytes.Buffer
		require.Equal(t, exitFailed, run(t.Context(), args, full, &errOut), args)
		require.Contains(t, errOut.String(), "no space left on device", args)
	}
}
