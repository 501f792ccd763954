package env

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// The ports lie below the range that Linux takes outgoing ports from (32768 on),
// so that no connection of anybody occupies one between our look and the
// child's bind.
const (
	firstPort = 20000
	portCount = 10000
)

// port is a loopback port that no other environment on this machine takes: each
// holds the lock on a file with the port's name. Children inherit the lock.
type port struct {
	number int
	lock   *os.File
}

func (p port) String() string  { return strconv.Itoa(p.number) }
func (p port) address() string { return net.JoinHostPort("127.0.0.1", p.String()) }
func (p port) release()        { _ = p.lock.Close() }

// leasePort finds a free port, beginning anywhere.
func leasePort() (port, error) {
	dir := filepath.Join(os.TempDir(), scratchPrefix+"ports")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return port{}, fmt.Errorf("make directory for port locks: %w", err)
	}
	// For other users of this machine; only its owner may do it, and did.
	_ = os.Chmod(dir, 0o777|os.ModeSticky)
	first := rand.IntN(portCount)
	for i := range portCount {
		number := firstPort + (first+i)%portCount
		lock, err := tryLock(filepath.Join(dir, strconv.Itoa(number)))
		if err != nil {
			continue
		}
		if p := (port{number, lock}); p.free() {
			return p, nil
		}
		_ = lock.Close()
	}
	return port{}, errors.New("no free port on loopback")
}

func (p port) free() bool {
	listener, err := net.Listen("tcp4", p.address())
	return err == nil && listener.Close() == nil
}

// leasePort finds a port that is the environment's until Stop.
func (e *Environment) leasePort() (port, error) {
	p, err := leasePort()
	if err != nil {
		return port{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ports = append(e.ports, p)
	return p, nil
}

// leases are the locks that stay taken as long as a child lives.
func (e *Environment) leases() []*os.File {
	e.mu.Lock()
	defer e.mu.Unlock()
	files := []*os.File{e.scratch.lock}
	for _, p := range e.ports {
		files = append(files, p.lock)
	}
	return files
}
