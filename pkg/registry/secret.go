package registry

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
)

// maxHostsTold is how many hosts an error names.
const maxHostsTold = 5

// entry is one registry of a pull Secret. Fields that name a program to run are not read.
type entry struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// FindCredentials returns those that a pull Secret holds for an image, of the type
// kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg. Of several that match, that with
// the longest path counts. Credential helpers are never run. An error says what is wrong with
// the Secret, and holds nothing of it but names of registries.
func FindCredentials(secret *corev1.Secret, image Image) (*Credentials, error) {
	entries, err := entriesOf(secret)
	if err != nil {
		return nil, err
	}
	var keys []string
	for key := range entries {
		if matches(key, image) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("it holds no credentials for %s, but for %s", image.Repository, told(entries))
	}
	return entries[slices.MinFunc(keys, moreSpecific)].credentials()
}

// entriesOf reads a pull Secret.
func entriesOf(secret *corev1.Secret) (map[string]entry, error) {
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
		var config struct {
			Auths map[string]entry  `json:"auths"`
			Store string            `json:"credsStore"`
			Help  map[string]string `json:"credHelpers"`
		}
		if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
			return nil, fmt.Errorf("its key %s holds no JSON as `docker login` writes it", corev1.DockerConfigJsonKey)
		}
		if len(config.Auths) == 0 && (config.Store != "" || len(config.Help) > 0) {
			return nil, errors.New("it names a credential helper, which is a program and is not run: store a user name and a password, or a token")
		}
		return config.Auths, nil
	case corev1.SecretTypeDockercfg:
		var entries map[string]entry
		if err := json.Unmarshal(secret.Data[corev1.DockerConfigKey], &entries); err != nil {
			return nil, fmt.Errorf("its key %s holds no JSON as `docker login` writes it", corev1.DockerConfigKey)
		}
		return entries, nil
	}
	return nil, fmt.Errorf("it is of type %s: name one of type %s, as `kubectl create secret docker-registry` makes it", cmp.Or(secret.Type, corev1.SecretTypeOpaque), corev1.SecretTypeDockerConfigJson)
}

// matches tells whether an entry is for an image, by host, port and path, as the kubelet does
// it: a * stands for a part of a host's name between two dots.
func matches(key string, image Image) bool {
	host, prefix := split(key)
	return matchesHost(host, image.Registry) && (prefix == "" || prefix == image.path() || strings.HasPrefix(image.path(), prefix+"/"))
}

// split returns host and path of an entry's key, which may be a URL such as
// https://index.docker.io/v1/.
func split(key string) (host, prefix string) {
	_, after, isURL := strings.Cut(key, "://")
	if !isURL {
		after = key
	}
	host, prefix, _ = strings.Cut(after, "/")
	prefix = strings.Trim(prefix, "/")
	for _, version := range []string{"v1", "v2"} { // of the API, which older entries name
		if rest, isAPI := strings.CutPrefix(prefix+"/", version+"/"); isAPI {
			prefix = strings.Trim(rest, "/")
		}
	}
	return hostOf(strings.ToLower(host)), prefix
}

func matchesHost(pattern, host string) bool {
	patterns, parts := strings.Split(pattern, "."), strings.Split(host, ".")
	if len(patterns) != len(parts) {
		return false
	}
	for i := range parts {
		if ok, err := path.Match(patterns[i], parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// moreSpecific orders keys: the longest path first, and a host without * before one with it.
func moreSpecific(a, b string) int {
	hostA, pathA := split(a)
	hostB, pathB := split(b)
	return cmp.Or(
		cmp.Compare(len(pathB), len(pathA)),
		cmp.Compare(strings.Count(hostA, "*"), strings.Count(hostB, "*")),
		strings.Compare(a, b),
	)
}

// told names the registries of a Secret.
func told(entries map[string]entry) string {
	var hosts []string
	for key := range entries {
		host, prefix := split(key)
		hosts = append(hosts, printable(path.Join(host, prefix)))
	}
	slices.Sort(hosts)
	switch {
	case len(hosts) == 0:
		return "no registry at all"
	case len(hosts) > maxHostsTold:
		return fmt.Sprintf("%s and %d more", strings.Join(hosts[:maxHostsTold], ", "), len(hosts)-maxHostsTold)
	}
	return strings.Join(hosts, ", ")
}

// credentials reads user name and password out of the field auth where they stand there.
func (e entry) credentials() (*Credentials, error) {
	if e.Auth != "" {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(e.Auth), "="))
		user, password, isPair := strings.Cut(string(decoded), ":")
		if err != nil || !isPair {
			return nil, errors.New("the field auth of its entry is no base64 of user name and password")
		}
		e.Username, e.Password = user, strings.TrimRight(password, "\x00")
	}
	if (e.Username == "" || e.Password == "") && e.IdentityToken == "" && e.RegistryToken == "" {
		return nil, errors.New("its entry holds neither a user name and a password nor a token")
	}
	return &Credentials{config: authn.AuthConfig{
		Username: e.Username, Password: e.Password, IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
	}}, nil
}
