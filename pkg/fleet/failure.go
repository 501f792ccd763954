package fleet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/bounded"
)

// Class is what kind of failure keeps a cluster from answering.
type Class = v1alpha1.Reason

// The classes.
const (
	DNS           = v1alpha1.ReasonDNS
	Refused       = v1alpha1.ReasonRefused
	Timeout       = v1alpha1.ReasonTimeout
	TLS           = v1alpha1.ReasonTLS
	Unauthorized  = v1alpha1.ReasonUnauthorized
	Forbidden     = v1alpha1.ReasonForbidden
	NotReady      = v1alpha1.ReasonNotReady
	BadKubeconfig = v1alpha1.ReasonBadKubeconfig
)

// Failure is why a cluster does not answer as it should. It holds no secret.
type Failure struct {
	Class Class
	// Message says what happened, and what to do.
	Message string
	// RetryAfter is for how long the server asked to be left alone; 0 where it did not.
	RetryAfter time.Duration
	// Status is that of the answer; 0 where there was none.
	Status int
}

func (f *Failure) Error() string { return string(f.Class) + ": " + f.Message }

// Classify returns the failure that an error of a request to the host is. It is nil for
// nil, and never repeats the text of an error that may hold credentials.
func Classify(host string, err error) *Failure {
	if err == nil {
		return nil
	}
	var known *Failure
	if errors.As(err, &known) {
		return known
	}
	for _, classify := range []func(string, error) *Failure{proxyFailure, dnsFailure, tlsFailure, timeoutFailure, connectionFailure} {
		if failure := classify(host, err); failure != nil {
			return failure
		}
	}
	return &Failure{Class: NotReady, Message: host + " gave an answer that is not understood: check that it is a Kubernetes API server, and the load balancer before it"}
}

// proxyFailure is of the proxy before the API server, which net/http tells by the name of the
// operation.
func proxyFailure(host string, err error) *Failure {
	var refused *proxyError
	var operation *net.OpError
	switch {
	case errors.As(err, &refused):
		return &Failure{Class: Refused, Message: fmt.Sprintf("the proxy before %s answers with status %d: check cluster.proxy-url in the kubeconfig, and what the proxy allows", host, refused.status)}
	case errors.As(err, &operation) && operation.Op == "proxyconnect":
		return &Failure{Class: Refused, Message: "the proxy before " + host + " can't be reached: check cluster.proxy-url in the kubeconfig, and that the proxy runs"}
	}
	return nil
}

// proxyError is the answer of a proxy that makes no tunnel.
type proxyError struct{ status int }

// Error implements error.
func (e *proxyError) Error() string { return fmt.Sprintf("the proxy answers with status %d", e.status) }

func dnsFailure(_ string, err error) *Failure {
	var failed *net.DNSError
	if !errors.As(err, &failed) {
		return nil
	}
	if failed.IsTimeout {
		return &Failure{Class: DNS, Message: fmt.Sprintf("the name server did not answer for %s: check the DNS of Penstock's cluster", failed.Name)}
	}
	return &Failure{Class: DNS, Message: fmt.Sprintf("the name %s is not known: check cluster.server in the kubeconfig, and the DNS of Penstock's cluster", failed.Name)}
}

func tlsFailure(host string, err error) *Failure {
	var (
		unknown  x509.UnknownAuthorityError
		name     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		noTLS    tls.RecordHeaderError
		exchange *net.OpError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return tlsOf("the certificate of %s has expired or is not valid yet: renew it, or correct the clocks", host)
	case errors.As(err, &unknown):
		return tlsOf("the certificate of %s is signed by an authority that the kubeconfig does not hold: renew cluster.certificate-authority-data", host)
	case errors.As(err, &name):
		return tlsOf("the certificate of %s is for another name: correct cluster.server, or set cluster.tls-server-name", host)
	case errors.As(err, &verify), errors.As(err, &invalid):
		return tlsOf("the certificate of %s is not valid: renew it", host)
	case errors.As(err, &noTLS), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return tlsOf("%s does not speak TLS: correct the port in cluster.server", host)
	case errors.As(err, &exchange) && (exchange.Op == "remote error" || exchange.Op == "local error"):
		return tlsOf("%s broke the TLS handshake off: renew user.client-certificate-data, or check what stands before the API server", host)
	}
	return nil
}

func tlsOf(format, host string) *Failure {
	return &Failure{Class: TLS, Message: fmt.Sprintf(format, host)}
}

func timeoutFailure(host string, err error) *Failure {
	var late net.Error
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) && (!errors.As(err, &late) || !late.Timeout()) {
		return nil
	}
	message := host + " did not answer in time"
	var named *bounded.TimeoutError
	if errors.As(err, &named) {
		message = fmt.Sprintf("%s did not answer within %s", host, named.After)
	}
	return &Failure{Class: Timeout, Message: message + ": check the network and firewalls between the clusters, and the load of its API server"}
}

func connectionFailure(host string, err error) *Failure {
	var operation *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Failure{Class: Refused, Message: host + " refuses connections: check cluster.server in the kubeconfig, and that the API server runs"}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Failure{Class: Refused, Message: "there is no route to " + host + ": check the network between the clusters"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed), errors.As(err, &operation), isBrokenStream(err):
		return &Failure{Class: Refused, Message: host + " broke the connection off: check its API server and the load balancer before it"}
	}
	return nil
}

// isBrokenStream tells whether the other side has ended an HTTP/2 stream or connection. The
// types of those errors are private to each of the two implementations.
func isBrokenStream(err error) bool {
	text := err.Error()
	return strings.Contains(text, "stream error:") || strings.Contains(text, "GOAWAY") || strings.Contains(text, "client connection lost")
}

// OfStatus returns the failure that an answer's status is; nil for 2xx. retryAfter is the
// header of that name.
func OfStatus(host string, status int, retryAfter string) *Failure {
	if status >= 200 && status < 300 {
		return nil
	}
	failure := ofStatus(host, status)
	failure.Status = status
	if wait, err := strconv.Atoi(retryAfter); err == nil && wait > 0 {
		failure.RetryAfter = time.Duration(min(wait, maxRetryAfter)) * time.Second
	}
	return failure
}

// maxRetryAfter is the most seconds that a server may ask to be left alone.
const maxRetryAfter = 300

func ofStatus(host string, status int) *Failure {
	switch {
	case status == http.StatusUnauthorized:
		return &Failure{Class: Unauthorized, Message: host + " refuses the credentials (401): store a kubeconfig with a valid token or certificate"}
	case status == http.StatusForbidden:
		return &Failure{Class: Forbidden, Message: host + " grants Penstock no right for this (403): apply config/target there"}
	case status >= 300 && status < 400:
		return &Failure{Class: BadKubeconfig, Message: fmt.Sprintf(
			"%s answers with a redirect (%d), which is not followed with credentials: set cluster.server to the API server itself", host, status)}
	case status == http.StatusNotFound:
		return &Failure{Class: BadKubeconfig, Message: host + " does not answer as a Kubernetes API server (404): check cluster.server in the kubeconfig"}
	case status == http.StatusTooManyRequests:
		return &Failure{Class: NotReady, Message: host + " is overloaded (429): check the load of its API server"}
	}
	return &Failure{Class: NotReady, Message: fmt.Sprintf("%s answers with status %d: check its API server and etcd", host, status)}
}
