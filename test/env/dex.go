package env

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// What dex knows.
const (
	DexClientID     = "penstock"
	DexClientSecret = "secret-of-the-client"
	// DexPassword is that of alice@example.com, who is in no group. Who signs in at the connector
	// Mock is kilgore@kilgore.trout, of the group authors.
	DexPassword = "password"
)

// dexPasswordHash is bcrypt's of DexPassword.
const dexPasswordHash = "$2a$10$2b2cU8CPhOTaGrs1HRQuAueS7JTT5ZHsHSzYiFPm1leZck7Mc8T4W"

// Dex is an identity provider, as a process of its own. It keeps nothing when it ends.
type Dex struct {
	// URL is what it calls itself.
	URL string
	// CAFile has the CA of its certificate.
	CAFile string

	env         *Environment
	listen      port
	certificate certificate
	process     *process
}

// NewDex returns a dex that does not run yet.
func (e *Environment) NewDex() (*Dex, error) {
	listen, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	made, err := writeCertificate(e.Dir, "dex-"+listen.String())
	if err != nil {
		return nil, err
	}
	return &Dex{URL: "https://" + listen.address() + "/dex", CAFile: made.cert, env: e, listen: listen, certificate: made}, nil
}

// Start starts it and returns when it answers. It sends browsers back to redirectURL alone. It is
// ended by Environment.Stop at the latest.
func (d *Dex) Start(ctx context.Context, redirectURL string) error {
	path, err := Part("dex")
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"issuer": d.URL, "storage": map[string]any{"type": "memory"},
		"web":    map[string]any{"https": d.listen.address(), "tlsCert": d.certificate.cert, "tlsKey": d.certificate.key},
		"oauth2": map[string]any{"skipApprovalScreen": true},
		"staticClients": []any{map[string]any{
			"id": DexClientID, "name": "Penstock", "secret": DexClientSecret, "redirectURIs": []string{redirectURL},
		}},
		"connectors":       []any{map[string]any{"type": "mockCallback", "id": "mock", "name": "Mock"}},
		"enablePasswordDB": true,
		"staticPasswords":  []any{map[string]any{"email": "alice@example.com", "hash": dexPasswordHash, "username": "alice", "userID": "alice"}},
	})
	if err != nil {
		return err
	}
	name := "dex-" + d.listen.String()
	file := filepath.Join(d.env.Dir, name+".json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("write configuration of dex: %w", err)
	}
	if d.process, err = d.env.spawn(tierClients, command{name: name, path: path, args: []string{"serve", file}}); err != nil {
		return err
	}
	client := insecureClient()
	defer client.CloseIdleConnections()
	return d.process.until(ctx, func(ctx context.Context) error { return httpOK(ctx, client, d.URL+"/.well-known/openid-configuration") })
}

// Stop ends it. It can be started again, with new keys.
func (d *Dex) Stop() error { return d.process.stop() }

// insecureClient asks parts whose certificates sign themselves.
func insecureClient() *http.Client {
	return &http.Client{Timeout: readyTimeout, Transport: &http.Transport{TLSClientConfig: insecure()}}
}
