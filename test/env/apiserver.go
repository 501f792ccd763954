package env

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
)

func (e *Environment) startAPIServer(ctx context.Context, etcdURL string) error {
	return e.timed("kube-apiserver", func() error { return e.runAPIServer(ctx, etcdURL) })
}

func (e *Environment) runAPIServer(ctx context.Context, etcdURL string) error {
	path, err := Part("kube-apiserver")
	if err != nil {
		return err
	}
	listen, err := e.leasePort()
	if err != nil {
		return err
	}
	args, err := e.apiServerArgs(etcdURL, listen)
	if err != nil {
		return err
	}
	p, err := e.spawn(tierAPIServer, command{name: "kube-apiserver", path: path, args: args})
	if err != nil {
		return err
	}
	e.Config = &rest.Config{Host: "https://" + listen.address(), BearerToken: e.tokens[Admin], QPS: -1}
	if err := p.until(ctx, e.apiServerReady); err != nil {
		return err
	}
	_, err = e.KubeconfigFor(Admin)
	return err
}

// apiServerArgs also writes the files that the flags name.
func (e *Environment) apiServerArgs(etcdURL string, listen port) ([]string, error) {
	tokens, err := e.writeTokens()
	key, keyErr := e.writeServiceAccountKey()
	if err := errors.Join(err, keyErr); err != nil {
		return nil, err
	}
	args := []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=127.0.0.1",
		"--secure-port=" + listen.String(),
		"--cert-dir=" + e.data,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--token-auth-file=" + tokens,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		// Far above what two cores can do: no test is throttled by the server
		// unless it asks for that with Options.APIServerFlags.
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1500",
	}
	if !e.options.ControllerManager {
		// Nothing makes the service accounts that it would ask of every pod.
		args = append(args, "--disable-admission-plugins=ServiceAccount")
	}
	audit, err := e.auditArgs()
	if err != nil {
		return nil, err
	}
	return append(append(args, audit...), e.options.APIServerFlags...), nil
}

// apiServerReady reads the certificate that the server signs for itself as soon
// as that is there; from then on it is the only one that we trust.
func (e *Environment) apiServerReady(ctx context.Context) error {
	certificate, err := os.ReadFile(filepath.Join(e.data, "apiserver.crt"))
	if err != nil {
		return err
	}
	e.Config.CAData = certificate
	client, err := rest.HTTPClientFor(e.Config)
	if err != nil {
		return err
	}
	return httpOK(ctx, client, e.Config.Host+"/readyz")
}
