package registry_test

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/penstock-cd/penstock/pkg/registry"
	fake "github.com/penstock-cd/penstock/test/registry"
)

// dockerConfig is a Secret as kubectl makes it.
func dockerConfig(json string) *corev1.Secret {
	return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(json)}}
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// The keys are those that the kubelet's documentation names, and what `docker login` writes
// (kubernetes.io/docs/concepts/containers/images, "Interpretation of config.json").
func TestAnEntryOfAPullSecretIsForARegistryOrAPartOfIt(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		key, image string
		matches    bool
	}{
		"the host":                          {"ghcr.io", "ghcr.io/acme/java:17", true},
		"another host":                      {"quay.io", "ghcr.io/acme/java:17", false},
		"a URL":                             {"https://ghcr.io", "ghcr.io/acme/java:17", true},
		"a URL with the API's version":      {"https://ghcr.io/v2/", "ghcr.io/acme/java:17", true},
		"what docker login writes":          {"https://index.docker.io/v1/", "debian:12", true},
		"the short name of Docker Hub":      {"docker.io", "debian:12", true},
		"Docker Hub is no other registry":   {"docker.io", "ghcr.io/acme/java:17", false},
		"a part of a registry":              {"ghcr.io/acme", "ghcr.io/acme/java:17", true},
		"the repository itself":             {"ghcr.io/acme/java", "ghcr.io/acme/java:17", true},
		"another part":                      {"ghcr.io/other", "ghcr.io/acme/java:17", false},
		"a part that only begins alike":     {"ghcr.io/ac", "ghcr.io/acme/java:17", false},
		"a host in other letters":           {"GHCR.io", "ghcr.io/acme/java:17", true},
		"a host with its port":              {"r.example.org:5000", "r.example.org:5000/java:17", true},
		"another port":                      {"r.example.org", "r.example.org:5000/java:17", false},
		"any name below a domain":           {"*.example.org", "r.example.org/java:17", true},
		"a star is one part of a name":      {"*.example.org", "a.r.example.org/java:17", false},
		"a star is not the whole host":      {"*", "ghcr.io/acme/java:17", false},
		"a pattern that can't be read":      {"[.example.org", "r.example.org/java:17", false},
		"a name that a library begins with": {"v1.example.org", "v1.example.org/java:17", true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			secret := dockerConfig(`{"auths":{"` + test.key + `":{"auth":"` + basic("ann", "hunter2") + `"}}}`)
			credentials, err := registry.FindCredentials(secret, imageOf(t, test.image))
			if test.matches {
				require.NoError(t, err)
				require.NotNil(t, credentials)
				return
			}
			require.ErrorContains(t, err, "it holds no credentials for "+imageOf(t, test.image).Repository+", but for ")
		})
	}
}

func TestAPullSecretThatCantBeUsedIsToldWithoutWhatItHolds(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		secret *corev1.Secret
		says   string
	}{
		"another type":                 {&corev1.Secret{Data: map[string][]byte{"password": []byte("hunter2")}}, "it is of type Opaque: name one of type kubernetes.io/dockerconfigjson"},
		"no JSON":                      {dockerConfig("hunter2"), "its key .dockerconfigjson holds no JSON"},
		"JSON of another form":         {dockerConfig(`{"auths":["hunter2"]}`), "its key .dockerconfigjson holds no JSON"},
		"no entry":                     {dockerConfig(`{}`), "for ghcr.io/acme/java, but for no registry at all"},
		"a credential helper":          {dockerConfig(`{"credsStore":"hunter2"}`), "it names a credential helper, which is a program and is not run"},
		"a helper for one registry":    {dockerConfig(`{"credHelpers":{"ghcr.io":"hunter2"}}`), "it names a credential helper, which is a program and is not run"},
		"an entry that is empty":       {dockerConfig(`{"auths":{"ghcr.io":{}}}`), "its entry holds neither a user name and a password nor a token"},
		"auth that is no base64":       {dockerConfig(`{"auths":{"ghcr.io":{"auth":"hunter2!"}}}`), "the field auth of its entry is no base64"},
		"auth that is no pair":         {dockerConfig(`{"auths":{"ghcr.io":{"auth":"aHVudGVyMg=="}}}`), "the field auth of its entry is no base64 of user name and password"},
		"an older one that is no JSON": {&corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte("hunter2")}}, "its key .dockercfg holds no JSON"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			credentials, err := registry.FindCredentials(test.secret, imageOf(t, "ghcr.io/acme/java:17"))
			require.Nil(t, credentials)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestTheCredentialsOfTheLongestPathAreUsed(t *testing.T) {
	t.Parallel()
	right, wrong := `{"auth":"`+basic("ann", "right-password")+`"}`, `{"username":"ann","password":"wrong-password"}`
	for sentence, secret := range map[string]func(host string) *corev1.Secret{
		"of several entries": func(host string) *corev1.Secret {
			return dockerConfig(`{"auths":{"` + host + `":` + wrong + `,"https://` + host + `/base/":` + right + `,"` + host + `/other/long/path":` + wrong + `}}`)
		},
		"a helper beside them is not run": func(host string) *corev1.Secret {
			return dockerConfig(`{"auths":{"` + host + `":` + right + `},"credsStore":"desktop","credHelpers":{"` + host + `":"desktop"}}`)
		},
		"of an older Secret": func(host string) *corev1.Secret {
			return &corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"` + host + `":` + right + `}`)}}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := fake.New(t)
			server.RequireToken("ann", "right-password")
			server.Push(t, "base/java:17", 1)
			client, _ := newClient(t)
			image := imageOf(t, server.Host+"/base/java:17")
			credentials, err := registry.FindCredentials(secret(server.Host), image)
			require.NoError(t, err)
			_, err = client.Digest(t.Context(), image, credentials)
			require.NoError(t, err)
		})
	}
}

func TestAnImageHasOneRepositoryHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for image, want := range map[string]registry.Image{
		"debian":                             {Registry: "index.docker.io", Repository: "index.docker.io/library/debian", Tag: "latest"},
		"docker.io/library/debian:12":        {Registry: "index.docker.io", Repository: "index.docker.io/library/debian", Tag: "12"},
		"registry-1.docker.io/acme/java:17":  {Registry: "index.docker.io", Repository: "index.docker.io/acme/java", Tag: "17"},
		"GHCR.io/acme/java:17-Jre":           {Registry: "ghcr.io", Repository: "ghcr.io/acme/java", Tag: "17-Jre"},
		"r.example.org:5000/java":            {Registry: "r.example.org:5000", Repository: "r.example.org:5000/java", Tag: "latest"},
		"[::1]:5000/base/java:17":            {Registry: "[::1]:5000", Repository: "[::1]:5000/base/java", Tag: "17"},
		"registry-1.docker.io/debian:stable": {Registry: "index.docker.io", Repository: "index.docker.io/library/debian", Tag: "stable"},
	} {
		require.Equal(t, want, imageOf(t, image), image)
	}
	for _, image := range []string{"", "debian@sha256:abc", "Debian:12", "debian:", "debian:a b", "library/", "debian/:12", "ghcr.io/a//b", "ghcr.io/a/:1", "/debian"} {
		_, err := registry.ParseImage(image)
		require.ErrorIs(t, err, registry.ErrImage, image)
	}
}

func TestAnImageIsFoundHoweverItsRepositoryIsWritten(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"ghcr.io/acme/java"}, imageOf(t, "GHCR.io/acme/java:17").Spellings())
	for _, image := range []string{"debian:12", "docker.io/debian", "docker.io/library/debian:12", "index.docker.io/library/debian"} {
		for _, spelling := range imageOf(t, image).Spellings() {
			require.Equal(t, "index.docker.io/library/debian", imageOf(t, spelling).Repository)
		}
		require.Contains(t, imageOf(t, image).Spellings(), "debian")
	}
	require.NotContains(t, imageOf(t, "acme/java").Spellings(), "java")
}
