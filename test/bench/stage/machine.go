package stage

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Machine is where, when and of what a result was measured.
type Machine struct {
	Cores  int       `json:"cores"`
	OS     string    `json:"os"`
	Go     string    `json:"go"`
	Commit string    `json:"commit"` // "unknown" outside of a git tree
	Date   time.Time `json:"date"`
	Size   string    `json:"size"` // full or small
	Rounds int       `json:"rounds"`
}

// commitTimeout bounds asking git.
const commitTimeout = 10 * time.Second

// ThisMachine describes the machine and the size of the stage.
func (s *Stage) ThisMachine(ctx context.Context) Machine {
	size := "full"
	if s.Small {
		size = "small"
	}
	return Machine{
		Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Commit: commit(ctx), Date: time.Now().UTC().Truncate(time.Second), Size: size, Rounds: s.Rounds,
	}
}

func commit(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	output, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(output))
}
