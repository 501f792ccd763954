package env

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
)

// Who may send e-mail by mailpit.
const (
	MailUser     = "penstock"
	MailPassword = "password-of-the-relay"
)

// Mailpit is a mail server, as a process of its own. It takes what comes with STARTTLS and the
// password, keeps it in a file until the environment ends, and shows it over HTTP.
type Mailpit struct {
	// Host and Port are where it takes e-mail.
	Host string
	Port int
	// CAFile has the CA of its certificate.
	CAFile string
	// URL is where it shows what it has taken: /api/v1/messages lists it, /view/latest.txt is the
	// text of the newest, and /api/v1/message/latest/raw is the newest as it came.
	URL string
}

// StartMailpit starts one and returns when it answers. It is ended by Environment.Stop.
func (e *Environment) StartMailpit(ctx context.Context) (*Mailpit, error) {
	path, err := Part("mailpit")
	if err != nil {
		return nil, err
	}
	smtp, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	web, err := e.leasePort()
	if err != nil {
		return nil, err
	}
	name := "mailpit-" + smtp.String()
	made, err := writeCertificate(e.Dir, name)
	if err != nil {
		return nil, err
	}
	users := filepath.Join(e.Dir, name+".users")
	if err := os.WriteFile(users, []byte(MailUser+":"+MailPassword+"\n"), 0o600); err != nil {
		return nil, err
	}
	process, err := e.spawn(tierClients, command{name: name, path: path, args: []string{
		"--listen", web.address(), "--smtp", smtp.address(), "--smtp-tls-cert", made.cert, "--smtp-tls-key", made.key,
		"--smtp-require-starttls", "--smtp-auth-file", users, "--smtp-disable-rdns", "--disable-version-check",
		"--database", filepath.Join(e.Dir, name+".db"),
	}})
	if err != nil {
		return nil, err
	}
	address, err := netip.ParseAddrPort(smtp.address())
	if err != nil {
		return nil, err
	}
	mailpit := &Mailpit{Host: address.Addr().String(), Port: int(address.Port()), CAFile: made.cert, URL: "http://" + web.address()}
	client := &http.Client{Timeout: readyTimeout}
	defer client.CloseIdleConnections()
	return mailpit, process.until(ctx, func(ctx context.Context) error { return httpOK(ctx, client, mailpit.URL+"/readyz") })
}
