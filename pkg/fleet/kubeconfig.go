package fleet

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"regexp"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// maxKubeconfig is the most bytes of a kubeconfig that are read.
const maxKubeconfig = 256 << 10

// Parse returns what reaches the cluster of a kubeconfig's current context. A kubeconfig
// that runs a program or names a file is refused: it would run or read what the author of
// a Secret chooses. Every error is a *Failure of class BadKubeconfig that names the field,
// and repeats no value.
func Parse(kubeconfig []byte) (*rest.Config, error) {
	if len(kubeconfig) == 0 {
		return nil, badKubeconfig("it is empty: store a kubeconfig")
	}
	if len(kubeconfig) > maxKubeconfig {
		return nil, badKubeconfig("it has %d bytes, at most %d are read: keep one context, and remove the others", len(kubeconfig), maxKubeconfig)
	}
	config, err := clientcmd.Load(kubeconfig)
	if err != nil {
		// The library's error may quote what it could not read.
		return nil, badKubeconfig("it is not a kubeconfig in YAML or JSON%s", lineOf(err))
	}
	cluster, user, err := current(config)
	if err != nil {
		return nil, err
	}
	if err := refused(cluster, user); err != nil {
		return nil, err
	}
	return restConfig(cluster, user)
}

func badKubeconfig(format string, args ...any) *Failure {
	return &Failure{Class: BadKubeconfig, Message: "the kubeconfig is not used: " + fmt.Sprintf(format, args...)}
}

var line = regexp.MustCompile(`line \d+`)

func lineOf(err error) string {
	if at := line.FindString(err.Error()); at != "" {
		return " (" + at + ")"
	}
	return ""
}

// current returns the cluster and the user of the current context.
func current(config *api.Config) (*api.Cluster, *api.AuthInfo, error) {
	if config.CurrentContext == "" {
		return nil, nil, badKubeconfig("current-context is not set: set it to the context of this cluster")
	}
	context := config.Contexts[config.CurrentContext]
	if context == nil {
		return nil, nil, badKubeconfig("contexts has no entry with the name in current-context")
	}
	cluster, user := config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo]
	if cluster == nil {
		return nil, nil, badKubeconfig("clusters has no entry with the name in the context's cluster")
	}
	if user == nil {
		return nil, nil, badKubeconfig("users has no entry with the name in the context's user")
	}
	return cluster, user, nil
}

// refused returns the first field that would run a program or read a file.
func refused(cluster *api.Cluster, user *api.AuthInfo) error {
	const use = "; use a token, or a certificate in client-certificate-data and client-key-data"
	for _, field := range []struct {
		set        bool
		name, does string
	}{
		{user.Exec != nil, "user.exec", "would run a program" + use},
		{user.AuthProvider != nil, "user.auth-provider", "would run a plugin" + use},
		{user.TokenFile != "", "user.tokenFile", "names a file of Penstock's pod; put the token itself into user.token"},
		{user.ClientCertificate != "", "user.client-certificate", "names a file of Penstock's pod; use user.client-certificate-data"},
		{user.ClientKey != "", "user.client-key", "names a file of Penstock's pod; use user.client-key-data"},
		{cluster.CertificateAuthority != "", "cluster.certificate-authority", "names a file of Penstock's pod; use cluster.certificate-authority-data"},
	} {
		if field.set {
			return badKubeconfig("%s %s", field.name, field.does)
		}
	}
	return nil
}

func restConfig(cluster *api.Cluster, user *api.AuthInfo) (*rest.Config, error) {
	if err := checkServer(cluster.Server); err != nil {
		return nil, err
	}
	if err := checkCertificates(cluster, user); err != nil {
		return nil, err
	}
	if user.Token != "" && user.Username != "" {
		return nil, badKubeconfig("user.token and user.username are both set: remove one")
	}
	config := &rest.Config{
		Host: cluster.Server,
		TLSClientConfig: rest.TLSClientConfig{
			ServerName: cluster.TLSServerName, Insecure: cluster.InsecureSkipTLSVerify, CAData: cluster.CertificateAuthorityData,
			CertData: user.ClientCertificateData, KeyData: user.ClientKeyData,
		},
		BearerToken: user.Token, Username: user.Username, Password: user.Password,
		Impersonate: rest.ImpersonationConfig{
			UserName: user.Impersonate, UID: user.ImpersonateUID, Groups: user.ImpersonateGroups, Extra: user.ImpersonateUserExtra,
		},
		DisableCompression: cluster.DisableCompression,
	}
	if cluster.ProxyURL == "" {
		return config, nil
	}
	proxy, err := url.Parse(cluster.ProxyURL)
	if err != nil || proxy.Host == "" {
		return nil, badKubeconfig("cluster.proxy-url is not a URL")
	}
	config.Proxy = proxyThrough(proxy)
	return config, nil
}

// checkServer allows no address that would send credentials in clear text, or that holds
// any: addresses are part of messages.
func checkServer(server string) error {
	address, err := url.Parse(server)
	switch {
	case err != nil || address.Host == "":
		return badKubeconfig("cluster.server is not a URL: set it to the address of the API server, such as https://api.example.com:6443")
	case address.Scheme != "https":
		return badKubeconfig("cluster.server does not begin with https://, so that credentials would be readable on the way")
	case address.User != nil:
		return badKubeconfig("cluster.server holds a user name: remove it, and use user.token")
	}
	return nil
}

func checkCertificates(cluster *api.Cluster, user *api.AuthInfo) error {
	if data := cluster.CertificateAuthorityData; len(data) > 0 {
		if cluster.InsecureSkipTLSVerify {
			return badKubeconfig("cluster.insecure-skip-tls-verify and cluster.certificate-authority-data are both set: remove the first")
		}
		if !x509.NewCertPool().AppendCertsFromPEM(data) {
			return badKubeconfig("cluster.certificate-authority-data holds no certificate in PEM form")
		}
	}
	if len(user.ClientCertificateData) == 0 && len(user.ClientKeyData) == 0 {
		return nil
	}
	if _, err := tls.X509KeyPair(user.ClientCertificateData, user.ClientKeyData); err != nil {
		return badKubeconfig("user.client-certificate-data and user.client-key-data are not a certificate and its key in PEM form")
	}
	return nil
}
