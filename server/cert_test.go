package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/penstock-cd/penstock/server/cert"
)

// write puts a certificate for localhost into a folder, as kubelet mounts a Secret.
func write(t *testing.T, dir string, ca *authority, serial string) {
	t.Helper()
	issued := ca.issue(serial, nil, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	key, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	require.NoError(t, err)
	for name, block := range map[string]*pem.Block{
		"tls.key": {Type: "PRIVATE KEY", Bytes: key}, "tls.crt": {Type: "CERTIFICATE", Bytes: issued.Certificate[0]},
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca.pem, 0o600))
}

// Published to a namespace of its own, so that the other tests keep their CA.
func TestACertificateFromFilesIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	namespace, dir, ca := local.NewNamespace(t), t.TempDir(), newAuthority("servers")
	published := func() map[string]string {
		got, err := kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), cert.ConfigMap, metav1.GetOptions{})
		require.NoError(t, err)
		return got.Data
	}
	files := &cert.Files{Dir: dir, Publication: cert.Publication{
		ConfigMaps: kube.CoreV1().ConfigMaps(namespace), Namespace: namespace, URL: "https://penstock.example.org", Timeout: patience,
	}}
	_, err = files.Certificate(nil)
	require.ErrorContains(t, err, "no certificate yet")
	_, err = files.Refresh(t.Context())
	require.ErrorContains(t, err, "read the certificate in SERVER_TLS_DIR")

	write(t, dir, ca, "first")
	refresh(t, files, "first")
	require.Equal(t, map[string]string{"url": "https://penstock.example.org", "ca.crt": string(ca.pem)}, published())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("half"), 0o600))
	_, err = files.Refresh(t.Context())
	require.ErrorContains(t, err, "no certificate and its key")
	requireCertificate(t, files, "first")

	other := newAuthority("others")
	write(t, dir, other, "second")
	refresh(t, files, "second")
	require.Equal(t, string(other.pem), published()["ca.crt"])
}

func refresh(t *testing.T, files *cert.Files, name string) {
	t.Helper()
	_, err := files.Refresh(t.Context())
	require.NoError(t, err)
	requireCertificate(t, files, name)
}

func requireCertificate(t *testing.T, source cert.Source, name string) {
	t.Helper()
	got, err := source.Certificate(nil)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(got.Certificate[0])
	require.NoError(t, err)
	require.Equal(t, name, parsed.Subject.CommonName)
}

func TestReplicasSignWithOneCA(t *testing.T) {
	t.Parallel()
	kube, err := kubernetes.NewForConfig(local.Config)
	require.NoError(t, err)
	namespace := local.NewNamespace(t)
	replica := func() *cert.SelfSigned {
		return &cert.SelfSigned{Secrets: kube.CoreV1().Secrets(namespace), Publication: cert.Publication{
			ConfigMaps: kube.CoreV1().ConfigMaps(namespace), Namespace: namespace, URL: "https://penstock.example.org:8443", Timeout: patience,
		}}
	}
	one, two := replica(), replica()
	for _, each := range []*cert.SelfSigned{one, two, one} {
		_, err := each.Refresh(t.Context())
		require.NoError(t, err)
	}
	published, err := kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), cert.ConfigMap, metav1.GetOptions{})
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM([]byte(published.Data[cert.CAKey])))
	for _, each := range []*cert.SelfSigned{one, two} {
		got, err := each.Certificate(nil)
		require.NoError(t, err)
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		require.NoError(t, err)
		for _, name := range []string{"localhost", "127.0.0.1", "penstock.example.org", "penstock-server." + namespace + ".svc"} {
			_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: time.Now().Add(24 * time.Hour)})
			require.NoError(t, err, name)
		}
	}

	// Whoever wants a new CA deletes the Secret.
	require.NoError(t, kube.CoreV1().Secrets(namespace).Delete(t.Context(), "penstock-server-ca", metav1.DeleteOptions{}))
	_, err = one.Refresh(t.Context())
	require.NoError(t, err)
	again, err := kube.CoreV1().ConfigMaps(namespace).Get(t.Context(), cert.ConfigMap, metav1.GetOptions{})
	require.NoError(t, err)
	require.NotEqual(t, published.Data[cert.CAKey], again.Data[cert.CAKey])
}

func TestNothingIsAnsweredWithoutTLS(t *testing.T) {
	t.Parallel()
	s := newScene(t, options{})
	got, err := http.Get("http://" + s.address + "/healthz") //nolint:noctx // one request of a test
	require.NoError(t, err)
	defer func() { _ = got.Body.Close() }()
	require.Equal(t, http.StatusBadRequest, got.StatusCode)
	_, err = tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, ServerName: "localhost", MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	require.ErrorContains(t, err, "protocol version")
}
