package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

const (
	// dashboardHeaderTimeout bounds the headers of a request from the browser.
	dashboardHeaderTimeout = 10 * time.Second
	// dashboardGrace is how long pages under way may take after Ctrl-C.
	dashboardGrace = time.Second
)

func dashboardCommand(o *options) *cobra.Command {
	var port int
	command := &cobra.Command{
		Use: "dashboard", Short: "Show the dashboard in your browser, with the kubeconfig's credentials",
		Long: `Show the dashboard in your browser, with the kubeconfig's credentials.

The command prints an address of this machine that works once, for the first browser that
opens it, and ends with Ctrl-C. Nobody else on this machine gets in by it.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				return fmt.Errorf("listen on this machine: %w", err)
			}
			door, err := newDoor(connected, listener.Addr().String())
			if err != nil {
				_ = listener.Close()
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), door.address())
			fmt.Fprintln(command.ErrOrStderr(), "Open this address in your browser. It works once. End with Ctrl-C.")
			return serveUntil(command.Context(), listener, door)
		},
	}
	command.Flags().IntVar(&port, "port", 0, "port of 127.0.0.1 to listen at; 0 is any that is free")
	return command
}

// serveUntil serves until ctx ends, which is no error.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: dashboardHeaderTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the dashboard: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), dashboardGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the dashboard: %w", err)
	}
	return nil
}

// proxyTo passes requests on with the credentials of a connection. The server's cookies stay
// here: the browser's connection is not encrypted, and other programs of this machine serve
// the same host.
func proxyTo(connected *connection, cookies http.CookieJar) (*httputil.ReverseProxy, error) {
	target, err := url.Parse(connected.url)
	if err != nil {
		return nil, fmt.Errorf("read the server's URL: %w", err)
	}
	return &httputil.ReverseProxy{
		Transport:     connected.client.Transport,
		FlushInterval: -1, // a stream must not wait
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Cookie")
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Origin") // the door has looked at it
			for _, cookie := range cookies.Cookies(r.Out.URL) {
				r.Out.AddCookie(cookie)
			}
		},
		ModifyResponse: func(response *http.Response) error {
			cookies.SetCookies(response.Request.URL, response.Cookies())
			response.Header.Del("Set-Cookie")
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "penstock server does not answer: "+unwrapped(err).Error(), http.StatusBadGateway)
		},
	}, nil
}
