package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var (
	local *env.Environment
	// clientCA signs client certificates that the API server knows.
	clientCA *authority
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "penstock-client-ca-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	clientCA = newAuthority("clients")
	path := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(path, clientCA.pem, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return env.RunTests(m, env.Options{APIServerFlags: []string{"--client-ca-file=" + path}}, &local)
}
