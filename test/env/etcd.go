package env

import (
	"context"
	"net/http"
	"path/filepath"
)

// startEtcd starts etcd and returns its client URL.
func (e *Environment) startEtcd(ctx context.Context) (url string, err error) {
	err = e.timed("etcd", func() error {
		url, err = e.runEtcd(ctx)
		return err
	})
	return url, err
}

func (e *Environment) runEtcd(ctx context.Context) (string, error) {
	path, err := Part("etcd")
	if err != nil {
		return "", err
	}
	client, err := e.leasePort()
	if err != nil {
		return "", err
	}
	peer, err := e.leasePort()
	if err != nil {
		return "", err
	}
	clientURL, peerURL := "http://"+client.address(), "http://"+peer.address()
	p, err := e.spawn(tierEtcd, command{name: "etcd", path: path, args: []string{
		"--name=local",
		"--data-dir=" + filepath.Join(e.data, "etcd"),
		"--listen-client-urls=" + clientURL,
		"--advertise-client-urls=" + clientURL,
		"--listen-peer-urls=" + peerURL,
		"--initial-advertise-peer-urls=" + peerURL,
		"--initial-cluster=local=" + peerURL,
		// Nothing here outlives the machine.
		"--unsafe-no-fsync",
		"--log-level=warn",
	}})
	if err != nil {
		return "", err
	}
	return clientURL, p.until(ctx, func(ctx context.Context) error {
		return httpOK(ctx, http.DefaultClient, clientURL+"/readyz")
	})
}
