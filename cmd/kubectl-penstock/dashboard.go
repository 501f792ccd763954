package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/spf13/cobra"
)

func dashboardCommand(o *options) *cobra.Command {
	var port int
	command := &cobra.Command{
		Use: "dashboard", Short: "Show the dashboard in your browser, with the kubeconfig's credentials",
		Long: `Show the dashboard in your browser, with the kubeconfig's credentials.

The command prints an address of this machine that works once, for the first browser that
opens it, and ends with Ctrl-C. Nobody else on this machine gets in by it. The name of the
address ends with .localhost, which browsers take for this machine.`,
		Args: arguments(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			listeners, err := listenHere(port)
			if err != nil {
				return err
			}
			door, err := newDoor(connected, listeners[0].Addr().(*net.TCPAddr).Port)
			if err != nil {
				closeAll(listeners)
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), door.address())
			fmt.Fprintln(command.ErrOrStderr(), "Open this address in your browser. It works once. End with Ctrl-C.")
			return serveUntil(command.Context(), listeners, door)
		},
	}
	command.Flags().IntVar(&port, "port", 0, "port of this machine to listen at; 0 is any that is free")
	return command
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
