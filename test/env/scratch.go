package env

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	scratchPrefix = "penstock-"
	lockName      = "lock"
	// scratchAge keeps a sweep from a directory that is just being made.
	scratchAge = time.Minute
)

// scratch is a directory that is locked while anything that uses it lives: the
// lock belongs to the open file, which children inherit.
type scratch struct {
	path      string
	lock      *os.File
	temporary bool
}

// openScratch makes a temporary directory, or takes the one given, and removes
// the temporary ones that killed processes left behind.
func openScratch(kind, given string) (*scratch, error) {
	sweepScratch()
	s := &scratch{path: given, temporary: given == ""}
	if err := s.make(kind); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	lock, err := tryLock(filepath.Join(s.path, lockName))
	if err != nil {
		return nil, fmt.Errorf("directory %s is in use: %w", s.path, err)
	}
	s.lock = lock
	return s, nil
}

func (s *scratch) make(kind string) (err error) {
	if !s.temporary {
		if s.path, err = filepath.Abs(s.path); err != nil {
			return err
		}
		return os.MkdirAll(s.path, 0o755)
	}
	if s.path, err = os.MkdirTemp("", scratchPrefix+kind+"-"); err != nil {
		return err
	}
	// Postgres' unprivileged user has to pass, and sees nothing.
	return os.Chmod(s.path, 0o711)
}

// close gives the lock back and removes a temporary directory, unless
// PENSTOCK_KEEP is set: then only the lock file goes, so that no sweep takes it.
func (s *scratch) close() error {
	if s.lock != nil {
		defer func() { _ = s.lock.Close() }()
	}
	if s.temporary && os.Getenv("PENSTOCK_KEEP") == "" {
		return os.RemoveAll(s.path)
	}
	return ignoreMissing(os.Remove(filepath.Join(s.path, lockName)))
}

func sweepScratch() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), scratchPrefix+"*", lockName))
	for _, path := range locks {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < scratchAge {
			continue
		}
		lock, err := tryLock(path)
		if err != nil {
			continue
		}
		_ = os.RemoveAll(filepath.Dir(path))
		_ = lock.Close()
	}
}

// tryLock locks a file without waiting. The lock lasts until the last process
// that has the file open closes it or ends.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
