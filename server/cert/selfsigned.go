package cert

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientv1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",namespace=penstock-system,resources=secrets,resourceNames=penstock-server-ca,verbs=get

const (
	// caSecret holds the CA that all replicas sign with.
	caSecret = "penstock-server-ca"
	caLife   = 10 * 365 * 24 * time.Hour
	// leafLife is how long a certificate is valid; a new one is made after two thirds.
	leafLife = 90 * 24 * time.Hour
	// backdate allows for clocks that are behind.
	backdate = 10 * time.Minute
)

// SelfSigned signs the server's certificate with a CA of its own, which all replicas have
// from one Secret.
type SelfSigned struct {
	Secrets     clientv1.SecretInterface
	Publication Publication

	loaded atomic.Pointer[leaf]
}

type leaf struct {
	certificate tls.Certificate
	ca          string
	key         []byte // of the CA
	renewAt     time.Time
}

// Certificate returns the one that was made last.
func (s *SelfSigned) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	loaded := s.loaded.Load()
	if loaded == nil {
		return nil, errNone
	}
	return &loaded.certificate, nil
}

// SharedKey is the key of the CA.
func (s *SelfSigned) SharedKey() []byte {
	if loaded := s.loaded.Load(); loaded != nil {
		return loaded.key
	}
	return nil
}

// Refresh reads the CA, makes it where there is none, and makes a certificate where there
// is none, it gets old, or the CA is another.
func (s *SelfSigned) Refresh(ctx context.Context) (time.Duration, error) {
	ca, text, err := s.ca(ctx)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	if known := s.loaded.Load(); known == nil || known.ca != text || now.After(known.renewAt) {
		made, err := s.sign(ca, now)
		if err != nil {
			return 0, err
		}
		key, err := x509.MarshalPKCS8PrivateKey(ca.PrivateKey)
		if err != nil {
			return 0, fmt.Errorf("encode the CA's key: %w", err)
		}
		s.loaded.Store(&leaf{certificate: made, ca: text, key: key, renewAt: now.Add(leafLife * 2 / 3)})
	}
	return 0, s.Publication.publish(ctx, []byte(text))
}

// ca returns the CA and its certificate as PEM.
func (s *SelfSigned) ca(ctx context.Context) (tls.Certificate, string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Publication.Timeout)
	defer cancel()
	secret, err := s.Secrets.Get(ctx, caSecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if secret, err = newCA(); err != nil {
			return tls.Certificate{}, "", err
		}
		if secret, err = s.Secrets.Create(ctx, secret, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
			secret, err = s.Secrets.Get(ctx, caSecret, metav1.GetOptions{})
		}
	}
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("read or create the server's CA in Secret %s/%s: %w", s.Publication.Namespace, caSecret, err)
	}
	text := secret.Data[corev1.TLSCertKey]
	ca, err := tls.X509KeyPair(text, secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return tls.Certificate{}, "", fmt.Errorf("secret %s/%s holds no CA: delete it, so that a new one is made", s.Publication.Namespace, caSecret)
	}
	return ca, string(text), nil
}

func newCA() (*corev1.Secret, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate the CA's key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "penstock-server-ca"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the CA: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the CA's key: %w", err)
	}
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: caSecret}, Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}),
	}}, nil
}

// sign makes a certificate for all names by which the server is reached; a port-forward
// reaches it by localhost.
func (s *SelfSigned) sign(ca tls.Certificate, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("generate the server's key: %w", err)
	}
	parent, err := x509.ParseCertificate(ca.Certificate[0])
	if err != nil {
		return tls.Certificate{}, errors.New("parse the server's CA")
	}
	service := "penstock-server." + s.Publication.Namespace
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: service + ".svc"},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(leafLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "penstock-server", service, service + ".svc", service + ".svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if parsed, err := url.Parse(s.Publication.URL); err == nil && parsed.Hostname() != "" {
		if ip := net.ParseIP(parsed.Hostname()); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, parsed.Hostname())
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), ca.PrivateKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign the server's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func serial() *big.Int {
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic("cert: no random numbers: " + err.Error())
	}
	return number
}
