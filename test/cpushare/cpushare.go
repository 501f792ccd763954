// Package cpushare measures how much of the machine others leave to a test, so that a
// bound in seconds means the same on a machine that is shared as on one that is not.
package cpushare

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Clock is what the processors had done at one moment.
type Clock struct{ began cpuTime }

// Start begins to measure.
func Start() Clock { return Clock{readCPU()} }

// Left is the part of the machine, between 0.1 and 1, that other processes than this
// one and its children have left since Start. It is 1 where the system does not tell.
func (c Clock) Left() float64 { return readCPU().shareSince(c.began) }

// Scale is how long something may take that may take so long on a machine of its own.
func Scale(long time.Duration, left float64) time.Duration {
	return time.Duration(float64(long) / left)
}

// cpuTime is what the processors have done since the start of the machine, in clock
// ticks: see proc(5).
type cpuTime struct {
	all, idle int64 // of the machine
	ours      int64 // of this process and of those that it started
}

// readCPU returns zeroes where the system does not tell.
func readCPU() cpuTime {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return cpuTime{}
	}
	first, _, _ := strings.Cut(string(stat), "\n")
	var t cpuTime
	for i, field := range strings.Fields(first)[1:] {
		const idle, wait, guest = 3, 4, 8 // a guest's time is counted as user time, too
		ticks, _ := strconv.ParseInt(field, 10, 64)
		if i < guest {
			t.all += ticks
		}
		if i == idle || i == wait {
			t.idle += ticks
		}
	}
	t.ours = treeTicks(os.Getpid())
	return t
}

// treeTicks is the time of a process and of all that descend from it.
func treeTicks(root int) int64 {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	children, ticks := map[int][]int{}, map[int]int64{}
	for _, file := range files {
		pid, parent, used, err := readProcess(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		children[parent] = append(children[parent], pid)
		ticks[pid] = used
	}
	sum, next := int64(0), []int{root}
	for len(next) > 0 {
		pid := next[0]
		next = append(next[1:], children[pid]...)
		sum += ticks[pid]
	}
	return sum
}

// readProcess returns a process's id, its parent's, and the time that it and its
// ended children have used.
func readProcess(file string) (pid, parent int, used int64, err error) {
	stat, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, 0, err
	}
	// The name, in brackets, may hold anything.
	name := bytes.LastIndexByte(stat, ')')
	if name < 0 {
		return 0, 0, 0, fmt.Errorf("%s has no name in brackets", file)
	}
	if _, err := fmt.Sscan(string(stat), &pid); err != nil {
		return 0, 0, 0, err
	}
	var state string
	var skip int64
	var own [4]int64 // utime, stime, cutime, cstime
	_, err = fmt.Sscan(string(stat[name+1:]), &state, &parent,
		&skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &own[0], &own[1], &own[2], &own[3])
	return pid, parent, own[0] + own[1] + own[2] + own[3], err
}

// shareSince is the part of the machine that others left to us, between leastShare
// and 1.
func (t cpuTime) shareSince(before cpuTime) float64 {
	all := float64(t.all - before.all)
	if all <= 0 {
		return 1
	}
	others := all - float64(t.idle-before.idle) - float64(t.ours-before.ours)
	return min(max(1-others/all, leastShare), 1)
}

// leastShare bounds what a busy machine excuses.
const leastShare = 0.1
