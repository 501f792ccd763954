package env

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"syscall"
)

// attributes puts the child into a session of its own, so that a Ctrl-C at the
// terminal reaches us alone and we stop the parts in order.
func attributes(c command) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true, Credential: c.user}
	if !c.detached {
		a.Pdeathsig = cmp.Or(c.deathSignal, syscall.SIGKILL)
	}
	return a
}

// startTime tells a process from a later one with the same id. It is the 22nd
// field of /proc/PID/stat, in clock ticks since boot (proc_pid_stat(5)); empty
// when there is no such process, or only its zombie.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command's name and may hold spaces; it ends at
	// the last parenthesis, so the state, the third, comes first here.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' {
		return ""
	}
	return string(fields[19])
}
