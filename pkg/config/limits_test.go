package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVariablesAreThoseOfDescribe(t *testing.T) {
	t.Parallel()
	all := Variables()
	require.Len(t, all, len(variables()))
	byName := map[string]Variable{}
	for _, v := range all {
		byName[v.Name] = v
	}
	require.Equal(t, Variable{
		Name: "KUBE_API_BURST", Default: "10", Allowed: "a whole number from 1 to 10000", Live: true,
		Meaning: "requests to the Kubernetes API that may go at once after a quiet time",
	}, byName["KUBE_API_BURST"])
	require.False(t, byName["LOG_LEVEL"].Live)
	require.True(t, byName["DATABASE_URL"].Secret)
}

func TestRefusalsAreThoseOfTheController(t *testing.T) {
	t.Parallel()
	data := map[string]string{"KUBE_API_QPS": "fast", "KUBE_API_BURST": "7", "LOG_LEVEL": "debug", "TYPO": "1"}
	_, want := defaults().Override(defaults(), data)
	require.Len(t, want, 3)
	require.Equal(t, want, Refusals(data))
	require.Empty(t, Refusals(map[string]string{"CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE": "auto", "FREEZE": "a release"}))
}
