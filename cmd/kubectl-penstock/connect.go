package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

const (
	// requestTimeout bounds one request; the server answers within 5 s, or says so.
	requestTimeout = 30 * time.Second
	// maxAnswer bounds what is read of one answer.
	maxAnswer = 64 << 20

	configMap = "penstock-server"
)

// connection is a way to the server.
type connection struct {
	url       string
	client    *http.Client
	namespace string // that the user means
	close     func()
}

// connect finds the server and presents the kubeconfig's own credentials there.
func (o *options) connect(ctx context.Context) (*connection, error) {
	cluster, namespace, err := o.cluster()
	if err != nil {
		return nil, err
	}
	if cluster.Username != "" {
		return nil, errors.New("the kubeconfig has a user name and a password, which penstock server does not take: use a token or a client certificate")
	}
	core, err := corev1.NewForConfig(cluster)
	if err != nil {
		return nil, fmt.Errorf("reach the cluster: %w", err)
	}
	where, err := o.find(ctx, core)
	if err != nil {
		return nil, err
	}
	connected := &connection{url: where.url, namespace: namespace, close: func() {}}
	server := rest.AnonymousClientConfig(cluster)
	copyCredentials(server, cluster)
	server.Host, server.UserAgent = where.url, "kubectl-penstock/"+version
	name := ""
	var way *forwarded
	if where.inside() {
		name = where.host()
		if way, err = newForwarded(ctx, func(ctx context.Context) (uint16, func(), error) { return o.forward(ctx, cluster, core) }); err != nil {
			return nil, err
		}
		connected.close = way.close
	}
	if connected.client, err = clientOf(server, where, name, way); err != nil {
		connected.close()
		return nil, fmt.Errorf("take the kubeconfig's credentials: %w", err)
	}
	return connected, nil
}

// clientOf presents the credentials of a configuration to a server that has a certificate
// for a name; an empty name is that of the URL. It goes by a port-forward where way is not nil.
func clientOf(credentials *rest.Config, where place, name string, way *forwarded) (*http.Client, error) {
	tlsConfig, err := rest.TLSConfigFor(credentials)
	if err != nil {
		return nil, err
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{}
	}
	tlsConfig.MinVersion, tlsConfig.ServerName, tlsConfig.InsecureSkipVerify = tls.VersionTLS12, name, false
	if tlsConfig.RootCAs, err = where.roots(); err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: tlsConfig, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}
	if way != nil {
		encrypted := tlsConfig.Clone()
		encrypted.NextProtos = []string{"h2", "http/1.1"}
		transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return way.dial(ctx, encrypted) }
		transport.Proxy = nil // there is none on the way to this machine
	}
	wrapped, err := rest.HTTPWrappersForConfig(credentials, transport)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: wrapped, Timeout: requestTimeout, CheckRedirect: noRedirect}, nil
}

// noRedirect keeps the credentials from another server.
func noRedirect(request *http.Request, _ []*http.Request) error {
	return fmt.Errorf("the server redirects to %s, and credentials are not sent there: name the right one by --server", request.URL.Host)
}

// copyCredentials gives one configuration the credentials of another.
func copyCredentials(to, from *rest.Config) {
	to.BearerToken, to.BearerTokenFile = from.BearerToken, from.BearerTokenFile
	to.ExecProvider, to.AuthProvider, to.AuthConfigPersister = from.ExecProvider, from.AuthProvider, from.AuthConfigPersister
	to.Impersonate = from.Impersonate
	to.CertData, to.CertFile, to.KeyData, to.KeyFile = from.CertData, from.CertFile, from.KeyData, from.KeyFile
}

// place is where the server is.
type place struct {
	url string
	ca  []byte
	// alone means that no other CA is trusted: the user has named it. Else the system's
	// are trusted as well, since TLS may end at an Ingress.
	alone bool
}

// roots are the CAs of which the server's certificate may be.
func (p place) roots() (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !p.alone {
		if system, err := x509.SystemCertPool(); err == nil {
			roots = system
		}
	}
	if len(p.ca) > 0 && !roots.AppendCertsFromPEM(p.ca) {
		return nil, errors.New("the CA of penstock server is no certificate in PEM")
	}
	return roots, nil
}

// inside tells whether the address is one that only the cluster's pods reach.
func (p place) inside() bool {
	return strings.HasSuffix(p.host(), ".svc") || strings.HasSuffix(p.host(), ".svc.cluster.local")
}

// host is the one of the URL, for which the server has a certificate.
func (p place) host() string {
	parsed, err := url.Parse(p.url)
	if err != nil {
		return ""
	}
	return parsed.Hostname()
}

// find takes the server from the flags, or from what the cluster publishes.
func (o *options) find(ctx context.Context, core corev1.CoreV1Interface) (found place, err error) {
	if o.serverCA != "" {
		if found.ca, err = os.ReadFile(o.serverCA); err != nil {
			return place{}, usage("read --server-ca: %w", err)
		}
		found.alone = true
	}
	if found.url = strings.TrimSuffix(o.server, "/"); found.url != "" && !strings.HasPrefix(found.url, "https://") {
		return place{}, usage("--server %s: must begin with https://, since credentials are sent there", o.server)
	}
	if found.url != "" && found.alone {
		return found, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	published, err := core.ConfigMaps(o.serverNamespace).Get(ctx, configMap, metav1.GetOptions{})
	if err != nil {
		if found.url != "" {
			return found, nil // by the system's CAs
		}
		advice := ""
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			advice = ": install it, or name it by --server or --server-namespace"
		}
		return place{}, fmt.Errorf("find penstock server by the ConfigMap %s/%s: %w%s", o.serverNamespace, configMap, err, advice)
	}
	if found.url == "" {
		found.url = strings.TrimSuffix(published.Data["url"], "/")
	}
	if !found.alone {
		found.ca = []byte(published.Data["ca.crt"])
	}
	if !strings.HasPrefix(found.url, "https://") {
		return place{}, fmt.Errorf("the ConfigMap %s/%s has no URL of penstock server: name it by --server", o.serverNamespace, configMap)
	}
	return found, nil
}

// problem is an error of the server.
type problem struct {
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

// Error is what the server says.
func (p *problem) Error() string {
	text := p.Detail
	for _, one := range p.Errors {
		text += fmt.Sprintf("; %s: %s", one.Location, one.Message)
	}
	return text
}

// isNotFound tells whether the server knows nothing of that name.
func isNotFound(err error) bool {
	var told *problem
	return errors.As(err, &told) && told.Status == http.StatusNotFound
}

// get decodes what the server answers.
func (c *connection) get(ctx context.Context, path string, query url.Values, into any) error {
	address := c.url + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, address, path, nil, into)
}

// post sends JSON and decodes what the server answers.
func (c *connection) post(ctx context.Context, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	return c.do(ctx, http.MethodPost, c.url+path, path, bytes.NewReader(text), into)
}

func (c *connection) do(ctx context.Context, method, address, path string, body io.Reader, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fmt.Errorf("ask penstock server: %w", err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask penstock server at %s: %w", c.url, unwrapped(err))
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of penstock server: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return c.refusal(response, path, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("the answer of penstock server at %s is not as this plugin (%s) expects: is the address right, and the server not older? %w", c.url, version, err)
	}
	return nil
}

// unwrapped leaves out the URL, which is told already.
func unwrapped(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// notServed begins what a server says of a path that it does not have.
const notServed = "the path is not served"

// refusal is the error that an answer is.
func (c *connection) refusal(response *http.Response, path string, text []byte) error {
	told := &problem{Status: response.StatusCode}
	if json.Unmarshal(text, told) != nil || told.Detail == "" {
		told.Detail = "penstock server answered " + response.Status
	}
	if told.Status == http.StatusNotFound && strings.HasPrefix(told.Detail, notServed) {
		return fmt.Errorf("penstock server at %s does not know %s, so it is older than this plugin (%s): upgrade it; kubectl penstock version tells both versions", c.url, path, version)
	}
	if told.Status == http.StatusUnauthorized || told.Status == http.StatusForbidden {
		return &exitError{code: exitRefused, err: told}
	}
	isQuery := response.Request.Method == http.MethodGet && (told.Status == http.StatusBadRequest || told.Status == http.StatusUnprocessableEntity)
	if isQuery && !strings.Contains(told.Error(), "unexpected parameter") { // which an older server does not know
		return &exitError{code: exitUsage, err: told}
	}
	return told
}

// path joins escaped segments.
func path(segments ...string) string {
	var all strings.Builder
	all.WriteString("/api/v1")
	for _, segment := range segments {
		all.WriteString("/" + url.PathEscape(segment))
	}
	return all.String()
}
