package env

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Nginx is the machine's nginx, as a process of its own.
type Nginx struct {
	// URL is where it answers, with TLS.
	URL string

	env     *Environment
	listen  port
	process *process
}

// NewNginx returns an nginx that does not run yet.
func (e *Environment) NewNginx() (*Nginx, error) {
	listen, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	return &Nginx{URL: "https://" + listen.address(), env: e, listen: listen}, nil
}

// nginxConfig has nothing but what a process of its own in a folder of its own needs: all else
// is nginx's default.
const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    server {
        listen %[2]s ssl;
        ssl_certificate %[3]s;
        ssl_certificate_key %[4]s;
%[5]s
    }
}
`

// Start starts it with locations in its server block, and returns when it answers. It is ended by
// Environment.Stop at the latest.
func (n *Nginx) Start(ctx context.Context, locations string) error {
	path, err := nginxPath()
	if err != nil {
		return err
	}
	name := "nginx-" + n.listen.String()
	dir := filepath.Join(n.env.Dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder of nginx: %w", err)
	}
	made, err := writeCertificate(dir, name)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConfig, dir, n.listen.address(), made.cert, made.key, locations), 0o600); err != nil {
		return fmt.Errorf("write configuration of nginx: %w", err)
	}
	n.process, err = n.env.spawn(tierClients, command{name: name, path: path, args: []string{"-p", dir, "-c", file}})
	if err != nil {
		return err
	}
	return n.process.until(ctx, func(ctx context.Context) error {
		connection, err := (&tls.Dialer{Config: insecure()}).DialContext(ctx, "tcp", n.listen.address())
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

// Stop ends it.
func (n *Nginx) Stop() error { return n.process.stop() }

// nginxPath is the program, which is not on everybody's PATH.
func nginxPath() (string, error) {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no nginx: install it (Debian: apt-get install nginx), or run make parts as root")
}

// insecure takes certificates that sign themselves.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
