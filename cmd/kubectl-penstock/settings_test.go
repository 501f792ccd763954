package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// liveSettings is an installation in a namespace of its own, and what runs the plugin on it as
// the administrator.
type liveSettings struct{ *settingsMap }

func newSteered(t *testing.T, data map[string]string) liveSettings {
	t.Helper()
	return liveSettings{newSettingsMap(t, data)}
}

func (s liveSettings) run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append(args, "--kubeconfig", local.Kubeconfig, "--server-namespace", s.namespace), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// pod makes a pod of the controller. No node runs it.
func (s liveSettings) pod(t *testing.T, name string, environment ...corev1.EnvVar) {
	t.Helper()
	require.NoError(t, s.cluster.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name, Labels: map[string]string{"app.kubernetes.io/name": "penstock"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "penstock", Image: "penstock", Args: []string{"controller"}, Env: environment}}},
	}))
}

func TestSettingsTellWhereEachValueComesFrom(t *testing.T) {
	t.Parallel()
	s := newSteered(t, map[string]string{"KUBE_API_QPS": "70", "KUBE_API_BURST": "many", "OLD": "1"})
	s.pod(t, "penstock-a", corev1.EnvVar{Name: "CI_BATCH_SIZE", Value: "6"})
	s.pod(t, "penstock-b", corev1.EnvVar{Name: "CI_BATCH_SIZE", Value: "7"}, corev1.EnvVar{Name: "LOG_LEVEL", Value: "debug"}, corev1.EnvVar{
		Name: "DATABASE_URL", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "penstock-database"}, Key: "url"}},
	})
	holder := "penstock-b_uid"
	require.NoError(t, s.cluster.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: leaseName}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder},
	}))
	tests := map[string]struct {
		key, want string
	}{
		"the ConfigMap goes before the environment":          {"KUBE_API_QPS", "KUBE_API_QPS | 70 | ConfigMap penstock-settings | yes"},
		"the environment is that of the pod that leads":      {"CI_BATCH_SIZE", "CI_BATCH_SIZE | 7 | environment | yes"},
		"what nobody sets has its default":                   {"MAX_ACTIVE_WORKFLOWS", "MAX_ACTIVE_WORKFLOWS | 0 | default | yes"},
		"what can't be changed live is told":                 {"LOG_LEVEL", "LOG_LEVEL | debug | environment | no"},
		"a value of a Secret is not shown":                   {"DATABASE_URL", "DATABASE_URL | - | environment, of Secret penstock-database | no"},
		"of a refused value it is not known what is instead": {"KUBE_API_BURST", "KUBE_API_BURST | - | not known | yes"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := s.run(t, "settings", "get", test.key)
			require.Zero(t, code, errOut)
			require.Equal(t, "KEY | VALUE | FROM | LIVE\n"+test.want, columns(out, -1))
			require.Contains(t, errOut, `refuses a value of the ConfigMap `+s.String()+`, and keeps what it had before: KUBE_API_BURST="many": must be a whole number from 1 to 10000`)
			require.Contains(t, errOut, "OLD is no variable of Penstock")
		})
	}
	_, out, _ := s.run(t, "settings", "get", "-o", "name")
	require.NotContains(t, out, "LOG_LEVEL")
	_, out, _ = s.run(t, "settings", "get", "--all", "-o", "name")
	require.Contains(t, out, "LOG_LEVEL")
	_, out, _ = s.run(t, "settings", "get", "KUBE_API_BURST", "-o", "json")
	var answer struct {
		Items []setting `json:"items"`
		Notes []string  `json:"notes"`
	}
	require.NoError(t, json.Unmarshal([]byte(out), &answer))
	require.Len(t, answer.Notes, 2)
	require.Equal(t, setting{
		Key: "KUBE_API_BURST", From: fromUnknown, Live: true, Default: "10", Allowed: "a whole number from 1 to 10000",
		Meaning: "requests to the Kubernetes API that may go at once after a quiet time", Problem: `KUBE_API_BURST="many": must be a whole number from 1 to 10000`,
	}, answer.Items[0])
}

func TestSettingsSayWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	s := newSteered(t, nil)
	code, out, errOut := s.run(t, "settings", "get", "KUBE_API_QPS")
	require.Zero(t, code, errOut)
	require.Equal(t, "KEY | VALUE | FROM | LIVE\nKUBE_API_QPS | - | not known | yes", columns(out, -1))
	require.Equal(t, "The environment is not known: no pod of the controller is in namespace "+s.namespace+"\n", errOut)
}

func TestSettingsAreSetOnlyWhereTheControllerTakesThem(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		says string
		want map[string]string
	}{
		"a limit is set":    {[]string{"set", "KUBE_API_QPS=100", "KUBE_API_BURST=20"}, 0, "KUBE_API_BURST (not set) -> 20\nKUBE_API_QPS 50 -> 100\n", map[string]string{"KUBE_API_QPS": "100", "KUBE_API_BURST": "20"}},
		"it is so already":  {[]string{"set", "KUBE_API_QPS=50"}, 0, "Nothing is changed", nil},
		"a limit is unset":  {[]string{"unset", "KUBE_API_QPS"}, 0, "KUBE_API_QPS 50 -> (not set)\n", map[string]string{}},
		"one bad, all stay": {[]string{"set", "KUBE_API_BURST=20", "KUBE_API_QPS=fast"}, exitUsage, `KUBE_API_QPS="fast": must be a whole number from 1 to 10000`, nil},
		"a typing error":    {[]string{"set", "KUBE_API_QSP=100"}, exitUsage, "KUBE_API_QSP is no variable of Penstock: did you mean KUBE_API_QPS?", nil},
		"lower case":        {[]string{"set", "kube_api_qps=100"}, exitUsage, "did you mean KUBE_API_QPS?", nil},
		"nothing like it":   {[]string{"unset", "X"}, exitUsage, "can be set here are CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE", nil},
		"not live":          {[]string{"set", "LOG_LEVEL=debug"}, exitUsage, "LOG_LEVEL can't be changed while the controller runs", nil},
		"no value":          {[]string{"set", "KUBE_API_QPS="}, exitUsage, "settings unset KUBE_API_QPS", nil},
		"no assignment":     {[]string{"set", "KUBE_API_QPS"}, exitUsage, "expected KUBE_API_QPS=VALUE", nil},
		"twice":             {[]string{"set", "KUBE_API_QPS=1", "KUBE_API_QPS=2"}, exitUsage, "KUBE_API_QPS is given twice", nil},
		"no arguments":      {[]string{"set"}, exitUsage, "requires at least 1 arg", nil},
		"get of a typo":     {[]string{"get", "KUBE_API_QSP"}, exitUsage, "did you mean KUBE_API_QPS?", nil},
		"a wrong verb":      {[]string{"gett"}, exitUsage, `did you mean "get"?`, nil},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s := newSteered(t, map[string]string{"KUBE_API_QPS": "50"})
			code, out, errOut := s.run(t, append([]string{"settings"}, test.args...)...)
			require.Equal(t, test.code, code, errOut)
			require.Contains(t, out+errOut, test.says)
			if test.want == nil {
				test.want = map[string]string{"KUBE_API_QPS": "50"}
			}
			found, err := s.read(t.Context())
			require.NoError(t, err)
			require.Len(t, found.Data, len(test.want))
			for key, value := range test.want {
				require.Equal(t, value, found.Data[key])
			}
		})
	}
}

func TestWhoMayNotWriteTheSettingsIsRefused(t *testing.T) {
	t.Parallel()
	s, nobody := newSteered(t, nil), newWorkshop(t)
	for _, args := range [][]string{{"settings", "get"}, {"settings", "set", "KUBE_API_QPS=9"}} {
		code, out, errOut := nobody.run(t.Context(), append(args, "--server-namespace", s.namespace)...)
		require.Equal(t, exitRefused, code, errOut)
		require.Empty(t, out)
		require.Contains(t, errOut, `cannot get resource "configmaps"`)
	}
}
