package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// Files is a certificate from a mounted Secret of type kubernetes.io/tls: tls.crt,
// tls.key, and ca.crt where there is one.
type Files struct {
	Dir         string
	Publication Publication

	loaded atomic.Pointer[pair]
}

type pair struct {
	text, key   []byte
	certificate tls.Certificate
}

// Certificate returns the one that was loaded last.
func (f *Files) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	loaded := f.loaded.Load()
	if loaded == nil {
		return nil, errNone
	}
	return &loaded.certificate, nil
}

// SharedKey is the file tls.key.
func (f *Files) SharedKey() []byte {
	if loaded := f.loaded.Load(); loaded != nil {
		return loaded.key
	}
	return nil
}

// Refresh loads the files again where they have changed. Files that do not fit together,
// as while they are being written, leave the last certificate in place.
func (f *Files) Refresh(ctx context.Context) (time.Duration, error) {
	certificate, err := os.ReadFile(filepath.Join(f.Dir, "tls.crt"))
	if err != nil {
		return 0, fmt.Errorf("read the certificate in SERVER_TLS_DIR: %w", err)
	}
	key, err := os.ReadFile(filepath.Join(f.Dir, "tls.key"))
	if err != nil {
		return 0, fmt.Errorf("read the key in SERVER_TLS_DIR: %w", err)
	}
	if known := f.loaded.Load(); known == nil || !bytes.Equal(known.text, certificate) {
		made, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return 0, errors.New("tls.crt and tls.key in SERVER_TLS_DIR are no certificate and its key in PEM")
		}
		f.loaded.Store(&pair{text: certificate, key: key, certificate: made})
	}
	ca, err := os.ReadFile(filepath.Join(f.Dir, "ca.crt"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("read the CA in SERVER_TLS_DIR: %w", err)
	}
	return 0, f.Publication.publish(ctx, ca)
}
