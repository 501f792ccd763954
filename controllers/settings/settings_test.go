package settings

import (
	"testing"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/penstock-cd/penstock/pkg/config"
)

var name = types.NamespacedName{Namespace: "penstock-system", Name: ConfigMap}

// scene is settings whose ConfigMap changes.
type scene struct {
	*testing.T
	*Settings
	applied []config.Config
	events  *events.FakeRecorder
}

func newScene(t *testing.T) *scene {
	t.Helper()
	environment, _, err := config.Load(map[string]string{"DATABASE_URL": "postgres://db/penstock"})
	require.NoError(t, err)
	s := &scene{T: t, events: events.NewFakeRecorder(100)}
	s.Settings = New(Config{
		Namespace: name.Namespace, Cache: fake.NewClientBuilder().Build(), Environment: environment, Events: s.events, Log: logr.Discard(),
		Apply: func(c config.Config) { s.applied = append(s.applied, c) },
	})
	return s
}

// sees reconciles the ConfigMap with this data, or without the ConfigMap, and
// returns the events.
func (s *scene) sees(data map[string]string) []string {
	s.Helper()
	builder := fake.NewClientBuilder()
	if data != nil {
		builder.WithObjects(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, UID: "1"}, Data: data})
	}
	s.Cache = builder.Build()
	_, err := s.Reconcile(s.Context(), reconcile.Request{NamespacedName: name})
	require.NoError(s, err)
	var told []string
	for len(s.events.Events) > 0 {
		told = append(told, <-s.events.Events)
	}
	return told
}

func TestLimitsFollowTheConfigMap(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	require.Empty(t, s.sees(nil))
	require.Empty(t, s.applied, "without a ConfigMap the environment stays in force")

	require.Equal(t, []string{"Normal SettingsApplied CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE 5 -> 20"},
		s.sees(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "20"}))
	require.Equal(t, 20, s.applied[0].BatchSize.Size)

	require.Empty(t, s.sees(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "20"}))
	require.Len(t, s.applied, 1, "nothing changed")

	require.Empty(t, s.sees(nil), "there is nothing left to record an event on")
	require.Equal(t, 5, s.applied[1].BatchSize.Size, "a deleted ConfigMap gives the environment back")
}

func TestABadValueIsToldOnceAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.sees(map[string]string{"KUBE_API_QPS": "30"})
	bad := map[string]string{"KUBE_API_QPS": "fast", "KUBE_API_BURST": "7"}
	require.Equal(t, []string{
		"Normal SettingsApplied KUBE_API_BURST 10 -> 7",
		`Warning SettingRefused KUBE_API_QPS="fast": must be a whole number from 1 to 10000; the limit stays as it is`,
	}, s.sees(bad))
	require.Equal(t, 30, s.applied[1].KubeAPIQPS)
	require.Empty(t, s.sees(bad), "told once")
	require.Empty(t, s.sees(map[string]string{"KUBE_API_QPS": "30", "KUBE_API_BURST": "7"}))
	require.Len(t, s.sees(bad), 1, "told again after it was mended")
	bad["MAX_ACTIVE_WORKFLOWS"], bad["TYPO"] = "many", "1"
	told := s.sees(bad)
	require.Len(t, told, 1, "the new ones together")
	require.Contains(t, told[0], "MAX_ACTIVE_WORKFLOWS")
	require.Contains(t, told[0], "TYPO")
	require.NotContains(t, told[0], "fast", "it is told already")
}

func TestLimitsInForceTellWhereEachComesFrom(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Environment.CiBatchSize = 7
	s.inForce = s.Environment
	of := func(name string) config.InForce {
		for _, one := range s.InForce() {
			if one.Name == name {
				return one
			}
		}
		return config.InForce{}
	}
	require.Equal(t, config.InForce{Name: "KUBE_API_QPS", Value: "50", From: config.FromDefault}, of("KUBE_API_QPS"), "before the ConfigMap was read")
	s.sees(map[string]string{"KUBE_API_QPS": "70", "FREEZE": "a release"})
	s.sees(map[string]string{"KUBE_API_QPS": "fast", "KUBE_API_BURST": " 20 "})
	require.Equal(t, config.InForce{Name: "KUBE_API_QPS", Value: "70", From: config.FromBefore, Refused: `KUBE_API_QPS="fast": must be a whole number from 1 to 10000`}, of("KUBE_API_QPS"))
	require.Equal(t, config.InForce{Name: "KUBE_API_BURST", Value: "20", From: config.FromConfigMap}, of("KUBE_API_BURST"))
	require.Equal(t, config.InForce{Name: "CI_BATCH_SIZE", Value: "7", From: config.FromEnvironment}, of("CI_BATCH_SIZE"))
	require.Equal(t, config.InForce{Name: "FREEZE", From: config.FromDefault}, of("FREEZE"))
	require.Empty(t, of("LOG_LEVEL"), "only what can be changed live is a limit")
}
