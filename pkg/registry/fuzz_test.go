package registry_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/pkg/registry"
)

func FuzzAPullSecretGivesCredentialsOrAnErrorThatHoldsNone(f *testing.F) {
	f.Add(`{"auths":{"ghcr.io":{"auth":"YW5uOmh1bnRlcjI="}}}`, "ghcr.io/acme/java:17")
	f.Add(`{"auths":{"https://index.docker.io/v1/":{"username":"ann","password":"hunter2"}}}`, "debian")
	f.Add(`{"auths":{"*.example.org/base":{"identitytoken":"t"}},"credsStore":"desktop"}`, "r.example.org/base/java")
	f.Add(`{"ghcr.io":{}}`, "ghcr.io/a")
	f.Fuzz(func(t *testing.T, config, image string) {
		parsed, err := registry.ParseImage(image)
		if err != nil {
			return
		}
		for kind, key := range map[corev1.SecretType]string{
			corev1.SecretTypeDockerConfigJson: corev1.DockerConfigJsonKey, corev1.SecretTypeDockercfg: corev1.DockerConfigKey,
		} {
			credentials, err := registry.FindCredentials(&corev1.Secret{Type: kind, Data: map[string][]byte{key: []byte(config)}}, parsed)
			require.Equal(t, err == nil, credentials != nil)
		}
	})
}

func FuzzAnImageIsTheSameHoweverItIsWritten(f *testing.F) {
	for _, image := range []string{"debian", "docker.io/library/debian:12", "GHCR.io/a/b:C", "[::1]:5000/a", "r.example.org:5000/a__b/c-d:1.2"} {
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image string) {
		parsed, err := registry.ParseImage(image)
		if err != nil {
			return
		}
		again, err := registry.ParseImage(parsed.Repository + ":" + parsed.Tag)
		require.NoError(t, err)
		require.Equal(t, parsed, again)
		require.True(t, strings.HasPrefix(parsed.Repository, parsed.Registry+"/"))
		for _, spelling := range parsed.Spellings() {
			written, err := registry.ParseImage(spelling)
			require.NoError(t, err)
			require.Equal(t, parsed.Repository, written.Repository)
		}
	})
}
