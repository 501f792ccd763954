// Package cert gives the server its certificate, from files or self-signed, and publishes
// how the server is reached in a ConfigMap.
package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=configmaps,verbs=create
// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=configmaps,resourceNames=penstock-server,verbs=get;update

// Source has the certificate of each connection.
type Source interface {
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// SharedKey is the private key that all replicas have, for deriving others from it; nil
	// while there is no certificate.
	SharedKey() []byte
}

// errNone means that no certificate was loaded yet.
var errNone = errors.New("the server has no certificate yet")

// ConfigMap is the name of what is published, and its keys.
const (
	ConfigMap = "penstock-server"
	URLKey    = "url"
	CAKey     = "ca.crt"
)

// Publication is where the server says how it is reached.
type Publication struct {
	ConfigMaps clientv1.ConfigMapInterface
	Namespace  string
	// URL is what users call. Empty means the Service inside the cluster.
	URL     string
	Timeout time.Duration
}

// url is the address that is published.
func (p Publication) url() string {
	if p.URL != "" {
		return p.URL
	}
	return "https://penstock-server." + p.Namespace + ".svc"
}

// publish writes the address and the CA, unless they are there. An empty CA means one
// that clients know already.
func (p Publication) publish(ctx context.Context, ca []byte) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	known, err := p.ConfigMaps.Get(ctx, ConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		fresh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ConfigMap}, Data: map[string]string{URLKey: p.url(), CAKey: string(ca)}}
		_, err = p.ConfigMaps.Create(ctx, fresh, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // another replica was faster, and says the same
		}
	} else if err == nil {
		if known.Data[URLKey] == p.url() && bytes.Equal([]byte(known.Data[CAKey]), ca) {
			return nil
		}
		changed := known.DeepCopy()
		if changed.Data == nil {
			changed.Data = map[string]string{}
		}
		changed.Data[URLKey], changed.Data[CAKey] = p.url(), string(ca)
		_, err = p.ConfigMaps.Update(ctx, changed, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			return nil // another replica was faster; the next round looks again
		}
	}
	if err != nil {
		return fmt.Errorf("publish the server's address in ConfigMap %s/%s: %w", p.Namespace, ConfigMap, err)
	}
	return nil
}
