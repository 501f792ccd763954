//go:build unix && !linux

package env

import (
	"syscall"
)

// attributes puts the child into a session of its own. Only Linux can end it
// when we are killed; elsewhere a killed test leaves its parts behind.
func attributes(c command) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Credential: c.user}
}

// startTime can't tell a process from a later one with the same id here: it
// only says whether there is one.
func startTime(pid int) string {
	if syscall.Kill(pid, 0) != nil {
		return ""
	}
	return "running"
}
