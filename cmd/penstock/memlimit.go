package main

import (
	"io/fs"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// limitShare is the share of the container's memory that Go may take: the rest is for
	// stacks of the kernel, the binary and what a measurement misses.
	limitShare = 0.9
	// mostLimit is above every limit that is meant: cgroups of version 1 say none so.
	mostLimit = 1 << 50
)

// limitFiles are where a container finds its memory limit, in bytes: cgroups of version 2,
// then of version 1 (kernel.org, admin-guide/cgroup-v2 and cgroup-v1/memory).
var limitFiles = []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"}

// boundMemory has the garbage collector work harder as the container's limit comes near,
// unless the operator has set GOMEMLIMIT. Far from the limit nothing changes.
func boundMemory(root fs.FS) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if limit := containerMemory(root); limit > 0 {
		debug.SetMemoryLimit(int64(float64(limit) * limitShare))
	}
}

// containerMemory returns the limit of the container's memory in bytes, and 0 for none.
func containerMemory(root fs.FS) int64 {
	for _, file := range limitFiles {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil || limit <= 0 || limit >= mostLimit {
			return 0 // "max" is none
		}
		return limit
	}
	return 0
}
