package install

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTheBundledPostgresKeepsItsPassword(t *testing.T) {
	t.Parallel()
	require.NoError(t, prepared())
	createNamespace(t, local, "trial")
	kube, _ := clientsOf(t, local)
	password := func() string {
		secret, err := kube.CoreV1().Secrets("trial").Get(t.Context(), "trial-penstock-postgres", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, "postgres://penstock:"+string(secret.Data["password"])+"@trial-penstock-postgres.trial.svc:5432/penstock?sslmode=disable", string(secret.Data["url"]))
		return string(secret.Data["password"])
	}
	values := []string{"trial", chart, "--namespace", "trial", "--set", "postgres.bundled=true,crds.enabled=false"}
	printed := helm(t, local, append([]string{"install"}, values...)...)
	require.Contains(t, printed, "The bundled Postgres is for trials")
	made := password()
	require.Len(t, made, 32)
	helm(t, local, append([]string{"upgrade"}, values...)...)
	require.Equal(t, made, password())
	helm(t, local, append([]string{"upgrade", "--set-literal", "postgres.password=a/b c"}, values...)...)
	secret, err := kube.CoreV1().Secrets("trial").Get(t.Context(), "trial-penstock-postgres", metav1.GetOptions{})
	require.NoError(t, err)
	require.Contains(t, string(secret.Data["url"]), "penstock:a%2Fb%20c@", "a password is escaped in the URL")
}

func TestTheNotesNameTheNextCommands(t *testing.T) {
	t.Parallel()
	for sentence, tc := range map[string]struct {
		set   string
		lines []string
	}{
		"with its defaults": {"", []string{
			"kubectl -n penstock-system create secret generic penstock-database --from-literal=url='postgres://user:password@host:5432/penstock'",
			"kubectl -n penstock-system rollout status deployment/penstock", "kubectl get cipipelines,cdpipelines,cibuilds --all-namespaces",
		}},
		"with a Secret of another name": {"database.existingSecret=db,database.key=dsn", []string{
			"kubectl -n penstock-system create secret generic db --from-literal=dsn='postgres://user:password@host:5432/penstock'",
		}},
		"with a URL of the database": {"database.url=postgres://penstock:secret@db.example.com/penstock", []string{
			"kubectl -n penstock-system get secret penstock-database",
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			printed := helm(t, local, "install", release, chart, "--namespace", namespace, "--dry-run=client", "--set", tc.set)
			for _, line := range tc.lines {
				require.Contains(t, printed, "\n   "+line+"\n")
			}
		})
	}
}
