package enroll

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

const (
	// ArgoCDSelector selects the Secrets in which Argo CD keeps its clusters.
	ArgoCDSelector = "argocd.argoproj.io/secret-type=cluster"

	argoCDLabels = "argocd.argoproj.io/"
	// argoCDOwner names the Application that an object belongs to. On a TargetCluster it would
	// have Argo CD prune it, since the Application does not hold it.
	argoCDOwner = "app.kubernetes.io/instance"
	// argoCDHome is the host by which Argo CD names the cluster that it runs in.
	argoCDHome = "kubernetes.default.svc"
)

// argoCDConfig is the key config of such a Secret, as Argo CD's declarative setup describes it.
type argoCDConfig struct {
	Username    string `json:"username"`
	Password    string `json:"password"`
	BearerToken string `json:"bearerToken"`
	TLS         struct {
		Insecure   bool   `json:"insecure"`
		ServerName string `json:"serverName"`
		CAData     []byte `json:"caData"`
		CertData   []byte `json:"certData"`
		KeyData    []byte `json:"keyData"`
	} `json:"tlsClientConfig"`
	Exec *struct {
		Command string `json:"command"`
	} `json:"execProviderConfig"`
	AWS *struct {
		ClusterName string `json:"clusterName"`
	} `json:"awsAuthConfig"`
	DisableCompression bool   `json:"disableCompression"`
	ProxyURL           string `json:"proxyUrl"`
}

// FromArgoCD returns the clusters of Argo CD's Secrets, by the Secrets' names. Their labels are
// the Secrets', without Argo CD's own.
func FromArgoCD(secrets []corev1.Secret) []Candidate {
	secrets = slices.Clone(secrets)
	slices.SortFunc(secrets, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	all := make([]Candidate, len(secrets))
	for i := range secrets {
		all[i] = fromArgoCD(&secrets[i])
	}
	tellCollisions(all)
	return all
}

func fromArgoCD(secret *corev1.Secret) Candidate {
	found := Candidate{From: "Secret " + secret.Namespace + "/" + secret.Name, Labels: labelsOf(secret)}
	name := string(secret.Data["name"])
	if name == "" {
		name = secret.Name
	}
	server := strings.TrimSpace(string(secret.Data["server"]))
	var config argoCDConfig
	switch address, err := url.Parse(server); {
	case err == nil && address.Hostname() == argoCDHome:
		found.Err = errors.New("it is the cluster of Argo CD itself: where Penstock runs there too, create a TargetCluster with inCluster: true; else add it by kubectl penstock clusters add")
	case json.Unmarshal(orEmpty(secret.Data["config"]), &config) != nil:
		found.Err = errors.New("its config is not the JSON that Argo CD writes: correct the Secret") // the library's error may quote it
	default:
		if found.Err = config.refused(); found.Err == nil {
			found.fill(config.parts(server))
		}
	}
	found.named(name)
	return found
}

func orEmpty(config []byte) []byte {
	if len(config) == 0 {
		return []byte("{}")
	}
	return config
}

// refused names what would have to run a program.
func (c *argoCDConfig) refused() error {
	const instead = ": apply config/target there, and add it by kubectl penstock clusters add NAME --context CONTEXT --least-rights"
	switch {
	case c.Exec != nil:
		return fmt.Errorf("execProviderConfig runs the program %q, which Penstock does not%s", c.Exec.Command, instead)
	case c.AWS != nil:
		return fmt.Errorf("awsAuthConfig asks AWS for the credentials of %q, which Penstock does not%s", c.AWS.ClusterName, instead)
	}
	return nil
}

func (c *argoCDConfig) parts(server string) (*api.Cluster, *api.AuthInfo) {
	return &api.Cluster{
			Server: server, TLSServerName: c.TLS.ServerName, InsecureSkipTLSVerify: c.TLS.Insecure, CertificateAuthorityData: c.TLS.CAData,
			ProxyURL: c.ProxyURL, DisableCompression: c.DisableCompression,
		}, &api.AuthInfo{
			Token: c.BearerToken, Username: c.Username, Password: c.Password, ClientCertificateData: c.TLS.CertData, ClientKeyData: c.TLS.KeyData,
		}
}

func labelsOf(secret *corev1.Secret) map[string]string {
	labels := maps.Clone(secret.Labels)
	maps.DeleteFunc(labels, func(key, _ string) bool {
		return strings.HasPrefix(key, argoCDLabels) || key == argoCDOwner || key == v1alpha1.LabelManagedBy
	})
	return labels
}
