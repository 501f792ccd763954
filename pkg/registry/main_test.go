package registry_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// The tests trust the certificate of net/http/httptest, as an administrator makes Penstock trust
// that of a registry. It must be said before anything is verified.
func TestMain(m *testing.M) {
	server := httptest.NewTLSServer(nil)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	server.Close()
	folder, err := os.MkdirTemp("", "registry")
	if err != nil {
		panic(err)
	}
	file := filepath.Join(folder, "ca.crt")
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		panic(err)
	}
	if err := os.Setenv("SSL_CERT_FILE", file); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}
