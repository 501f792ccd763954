package env

import (
	"errors"
	"os"
	"sync"
)

// Stop stops every part and removes what they wrote, but for the logs of an
// Options.Dir. It returns when no process is left; calling it again returns the
// first result.
func (e *Environment) Stop() error {
	e.stopOnce.Do(func() { e.stopErr = e.stop() })
	return e.stopErr
}

func (e *Environment) stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	if e.Postgres != nil {
		errs = append(errs, e.Postgres.Close())
	}
	for _, tier := range e.tiers {
		errs = append(errs, stopAll(tier))
	}
	for _, p := range e.ports {
		p.release()
	}
	if e.postgresDir != "" {
		errs = append(errs, os.RemoveAll(e.postgresDir))
	}
	errs = append(errs, os.RemoveAll(e.data), ignoreMissing(os.Remove(statePath(e.Dir))))
	return errors.Join(append(errs, e.scratch.close())...)
}

func stopAll(processes []*process) error {
	errs := make([]error, len(processes))
	var group sync.WaitGroup
	for i, p := range processes {
		group.Go(func() { errs[i] = p.stop() })
	}
	group.Wait()
	return errors.Join(errs...)
}
