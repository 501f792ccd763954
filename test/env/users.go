package env

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// User is a name that the API server knows, and that its audit log shows. Each
// has a token of its own, made anew for each environment.
type User string

const (
	// Admin may do everything.
	Admin User = "admin"
	// Penstock is the controller's service account. It may do what RBAC
	// grants it, which is nothing at first.
	Penstock User = "system:serviceaccount:penstock-system:penstock"

	// PenstockServer is the service account of `penstock server`. It may do what RBAC
	// grants it, which is nothing at first.
	PenstockServer User = "system:serviceaccount:penstock-system:penstock-server"

	controllerManagerUser User = "system:kube-controller-manager"
	argoUser              User = "argo"
	kwokUser              User = "kwok"
)

// groups are as a real API server would give them.
var groups = map[User][]string{
	Admin:                 {"system:masters"},
	Penstock:              {"system:serviceaccounts", "system:serviceaccounts:penstock-system"},
	PenstockServer:        {"system:serviceaccounts", "system:serviceaccounts:penstock-system"},
	controllerManagerUser: {"system:masters"},
	argoUser:              {"system:masters"},
	kwokUser:              {"system:masters"},
}

func newTokens() map[User]string {
	tokens := make(map[User]string, len(groups))
	for user := range groups {
		tokens[user] = rand.Text()
	}
	return tokens
}

// writeTokens writes the API server's --token-auth-file.
func (e *Environment) writeTokens() (path string, err error) {
	var lines strings.Builder
	for user, token := range e.tokens {
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", token, user, user, strings.Join(groups[user], ","))
	}
	path = filepath.Join(e.data, "tokens.csv")
	return path, os.WriteFile(path, []byte(lines.String()), 0o600)
}

// ConfigFor returns a client configuration for user, without a client-side
// rate limit. A user that this package does not name gets 401 for everything.
func (e *Environment) ConfigFor(user User) *rest.Config {
	config := rest.CopyConfig(e.Config)
	config.BearerToken = e.tokens[user]
	if config.BearerToken == "" {
		config.BearerToken = "unknown"
	}
	return config
}

// KubeconfigFor writes a kubeconfig for user into the environment's directory,
// readable for us alone, and returns its path.
func (e *Environment) KubeconfigFor(user User) (string, error) {
	path := kubeconfigPath(e.Dir, user)
	if err := writeKubeconfig(path, e.ConfigFor(user)); err != nil {
		return "", fmt.Errorf("write kubeconfig of %s: %w", user, err)
	}
	return path, nil
}

func writeKubeconfig(path string, config *rest.Config) error {
	text, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"local": {Server: config.Host, CertificateAuthorityData: config.CAData},
		},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"local": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"local": {Cluster: "local", AuthInfo: "local"}},
		CurrentContext: "local",
	})
	if err != nil {
		return err
	}
	return replaceFile(path, text)
}

// replaceFile never shows half a file to whoever reads it meanwhile.
func replaceFile(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close(), os.Rename(file.Name(), path))
}

// kubeconfigPath names the file after the user's last part.
func kubeconfigPath(dir string, user User) string {
	name := string(user)
	return filepath.Join(dir, name[strings.LastIndexByte(name, ':')+1:]+".kubeconfig")
}
