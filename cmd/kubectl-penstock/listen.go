package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	// dashboardHeaderTimeout bounds the headers of a request from the browser.
	dashboardHeaderTimeout = 10 * time.Second
	// dashboardGrace is how long pages under way may take after Ctrl-C.
	dashboardGrace = time.Second
	// maxListenAttempts is how many ports are tried of which another program has one half.
	maxListenAttempts = 10
)

// listenHere listens at a port of all loopback addresses, since browsers choose one of them. If
// another program had the same port of another one, browsers might send it what is for us. Port 0
// is any that is free.
func listenHere(port int) (listeners []net.Listener, err error) {
	hosts := []string{"127.0.0.1"}
	if hasIPv6Loopback() {
		hosts = append(hosts, "::1")
	}
	for range maxListenAttempts {
		if listeners, err = listenAtAll(hosts, port); err == nil || port != 0 {
			break
		}
	}
	return listeners, err
}

func listenAtAll(hosts []string, port int) (listeners []net.Listener, err error) {
	for _, host := range hosts {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			closeAll(listeners)
			return nil, fmt.Errorf("listen on this machine: %w", err)
		}
		port = listener.Addr().(*net.TCPAddr).Port
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

func hasIPv6Loopback() bool {
	addresses, _ := net.InterfaceAddrs() // without them 127.0.0.1 is left
	for _, address := range addresses {
		if network, is := address.(*net.IPNet); is && network.IP.Equal(net.IPv6loopback) {
			return true
		}
	}
	return false
}

func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		_ = listener.Close()
	}
}

// serveUntil serves until ctx ends, which is no error.
func serveUntil(ctx context.Context, listeners []net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: dashboardHeaderTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() { ended <- server.Serve(listener) }()
	}
	select {
	case err := <-ended:
		_ = server.Close()
		return fmt.Errorf("serve the dashboard: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), dashboardGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		_ = server.Close()
	}
	for range listeners {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the dashboard: %w", err)
		}
	}
	return nil
}
