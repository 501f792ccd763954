package env

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// state is what Attach needs to know of an environment that outlives the
// process that started it.
type state struct {
	DatabaseURL, AuditLog string
	Tokens                map[User]string
	Tiers                 [][]processState
	Temporary             bool   // whether the environment's directory goes with it
	PostgresDir           string // goes with it as well

	// Of a server that is not ours: what Stop has to drop, and through whom.
	AdminURL  string   `json:",omitempty"`
	Databases []string `json:",omitempty"`
}

type processState struct {
	Name, StartTime string
	PID             int
	StopSignal      syscall.Signal
}

func statePath(dir string) string { return filepath.Join(dir, "environment.json") }

func (e *Environment) saveState() error {
	if !e.options.Detached {
		return nil
	}
	s := state{DatabaseURL: e.DatabaseURL, AuditLog: e.AuditLog, Tokens: e.tokens, Temporary: e.scratch.temporary}
	for _, tier := range e.tiers {
		s.Tiers = append(s.Tiers, describe(tier))
	}
	s.addPostgres(e.Postgres)
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("marshal state: %w", err)
	}
	if err := os.WriteFile(statePath(e.Dir), text, 0o600); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return nil
}

func (s *state) addPostgres(p *Postgres) {
	switch {
	case p == nil:
	case p.scratch == nil:
		s.AdminURL, s.Databases = p.AdminURL, p.databases
	default:
		s.Tiers[tierClients] = append(s.Tiers[tierClients], describe([]*process{p.process})...)
		s.PostgresDir = p.scratch.path
	}
}

func describe(tier []*process) []processState {
	states := make([]processState, 0, len(tier))
	for _, p := range tier {
		pid := p.handle.Pid
		states = append(states, processState{Name: p.name, PID: pid, StartTime: startTime(pid), StopSignal: p.stopSignal})
	}
	return states
}

// Attach returns the detached environment that was started in dir, so that it
// can be used and stopped. The error is os.ErrNotExist when there is none; that
// its processes have ended meanwhile is no error.
func Attach(dir string) (*Environment, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	text, err := os.ReadFile(statePath(dir))
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("attach: read %s: %w", statePath(dir), err)
	}
	return s.restore(dir)
}

func (s state) restore(dir string) (*Environment, error) {
	e := &Environment{
		Dir: dir, Kubeconfig: kubeconfigPath(dir, Admin), AuditLog: s.AuditLog, DatabaseURL: s.DatabaseURL,
		data: filepath.Join(dir, "data"), tokens: s.Tokens,
		scratch: &scratch{path: dir, temporary: s.Temporary}, postgresDir: s.PostgresDir,
	}
	if s.AdminURL != "" {
		e.Postgres = &Postgres{AdminURL: s.AdminURL, databases: s.Databases}
	}
	config, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	config.QPS = -1
	e.Config = config
	for i, tier := range s.Tiers {
		for _, p := range tier {
			e.tiers[i] = append(e.tiers[i], p.adopt())
		}
	}
	return e, nil
}

// adopt makes a process of a child that is not ours: it can't be waited for,
// so it is looked at until it is gone.
func (s processState) adopt() *process {
	p := &process{name: s.Name, stopSignal: s.StopSignal, done: make(chan struct{})}
	handle, err := os.FindProcess(s.PID)
	if err != nil || startTime(s.PID) != s.StartTime {
		close(p.done)
		return p
	}
	p.handle = handle
	go p.watch(s)
	return p
}

func (p *process) watch(s processState) {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	defer close(p.done)
	for startTime(s.PID) == s.StartTime {
		<-ticker.C
	}
}
