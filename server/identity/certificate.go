package identity

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Where an API server publishes the CA of client certificates. Reading it is the right of
// the Role extension-apiserver-authentication-reader in kube-system.
const (
	AuthenticationNamespace = "kube-system"
	authenticationConfigMap = "extension-apiserver-authentication"
	clientCA                = "client-ca-file"
)

// Certificates finds out whose a client certificate is. Until Load has found the
// cluster's CA, no certificate is accepted.
type Certificates struct {
	// Client reads the ConfigMap that holds the CA. Required.
	Client clientv1.ConfigMapInterface
	// Timeout bounds one read.
	Timeout time.Duration

	roots atomic.Pointer[x509.CertPool]
}

// Load reads the cluster's CA, and keeps the last one where that fails. A cluster without
// client certificates is no error.
func (c *Certificates) Load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	published, err := c.Client.Get(ctx, authenticationConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		c.roots.Store(nil)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the CA of client certificates from ConfigMap %s/%s: %w", AuthenticationNamespace, authenticationConfigMap, err)
	}
	text := published.Data[clientCA]
	if text == "" {
		c.roots.Store(nil)
		return nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(text)) {
		return fmt.Errorf("ConfigMap %s/%s has no certificate in %s", AuthenticationNamespace, authenticationConfigMap, clientCA)
	}
	c.roots.Store(roots)
	return nil
}

// Verify returns whose a certificate is: its common name is the user, its organizations
// are the groups. A *RefusedError means that it is not of the cluster's CA, is out of its
// time, or is not for clients.
func (c *Certificates) Verify(chain []*x509.Certificate) (User, error) {
	roots := c.roots.Load()
	if roots == nil {
		return User{}, unauthenticated("the cluster publishes no CA of client certificates: send a bearer token")
	}
	intermediates := x509.NewCertPool()
	for _, one := range chain[1:] {
		intermediates.AddCert(one)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return User{}, unauthenticated("the client certificate has expired or is not valid yet: get a new one")
	}
	if err != nil {
		return User{}, unauthenticated("the client certificate is not one of the cluster's CA for clients: use that of your kubeconfig")
	}
	subject := chain[0].Subject
	if subject.CommonName == "" {
		return User{}, unauthenticated("the client certificate has no common name, which is the user's name")
	}
	return User{Name: subject.CommonName, Groups: append(append([]string{}, subject.Organization...), authenticated)}, nil
}
