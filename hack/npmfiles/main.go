// Command npmfiles writes one file of an npm package into a folder, after it has compared the
// package with its pinned SHA-512. It needs neither npm nor node.
//
//	npmfiles NAME VERSION INTEGRITY FILE TARGET
//
// NPM_CONFIG_REGISTRY is used instead of https://registry.npmjs.org, where it is set.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"
	"time"
)

const (
	// timeout bounds the download.
	timeout = 2 * time.Minute
	// maxPackage and maxFile bound what a registry can make us read.
	maxPackage, maxFile = 64 << 20, 256 << 20
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "npmfiles:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 5 {
		return errors.New("expected NAME VERSION INTEGRITY FILE TARGET")
	}
	name, version, integrity, file, target := arguments[0], arguments[1], arguments[2], arguments[3], arguments[4]
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	packed, err := download(ctx, location(os.Getenv("NPM_CONFIG_REGISTRY"), name, version))
	if err != nil {
		return err
	}
	if err := check(packed, integrity); err != nil {
		return fmt.Errorf("%s %s: %w", name, version, err)
	}
	content, err := extract(packed, "package/"+file)
	if err != nil {
		return fmt.Errorf("%s %s: %w", name, version, err)
	}
	return os.WriteFile(target, content, 0o644)
}

// location is where registries keep a version's package.
func location(registry, name, version string) string {
	if registry == "" {
		registry = "https://registry.npmjs.org"
	}
	return strings.TrimSuffix(registry, "/") + "/" + name + "/-/" + path.Base(name) + "-" + version + ".tgz"
}

func download(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: %s", url, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxPackage))
}

// check compares with what npm calls the integrity of a package.
func check(packed []byte, integrity string) error {
	sum := sha512.Sum512(packed)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("the package has the integrity %s, want %s", got, integrity)
	}
	return nil
}

func extract(packed []byte, name string) ([]byte, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", name, err)
		}
		if header.Name == name {
			return io.ReadAll(io.LimitReader(archive, maxFile))
		}
	}
}
