package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// initialize makes the data directory. Strangers on this machine reach the port
// too, so a password stands before it.
func (p *Postgres) initialize(ctx context.Context) error {
	password := filepath.Join(p.scratch.path, "password")
	if err := os.WriteFile(password, []byte(p.password), 0o600); err != nil {
		return fmt.Errorf("write password: %w", err)
	}
	if err := os.Mkdir(p.data(), 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := p.own(password, p.data()); err != nil {
		return err
	}
	initdb, err := start(command{
		name: "initdb", path: filepath.Join(p.bin, "initdb"), dir: p.scratch.path, user: p.user,
		args: []string{
			"--pgdata=" + p.data(), "--username=postgres", "--auth=scram-sha-256", "--pwfile=" + password,
			"--encoding=UTF8", "--locale=C", "--no-sync",
		},
	})
	if err != nil {
		return err
	}
	return initdb.finish(ctx)
}

func (p *Postgres) own(paths ...string) error {
	if p.user == nil {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, int(p.user.Uid), int(p.user.Gid)); err != nil {
			return fmt.Errorf("hand over to postgres: %w", err)
		}
	}
	return nil
}

// unprivileged is whom Postgres runs as: it refuses to run as root. Nil is
// ourselves.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
		if err := errors.Join(err, gidErr); err != nil {
			return nil, fmt.Errorf("account %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("postgres refuses root, and there is neither an account postgres nor nobody")
}

// postgresBin is the directory of the server's binaries: that of the PATH, or
// the newest of Debian's.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && exists(filepath.Join(filepath.Dir(path), "postgres")) {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", errors.New("no postgres: set DATABASE_URL, or run hack/build-parts.sh, or install Postgres 13 or newer")
	}
	return filepath.Dir(slices.MaxFunc(found, byVersion)), nil
}

// byVersion orders /usr/lib/postgresql/9/… before /usr/lib/postgresql/15/….
func byVersion(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	if a < b {
		return -1
	}
	return 1
}
