package evolution

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/penstock-cd/penstock/test/bench/workload"
	"github.com/penstock-cd/penstock/test/measure"
)

const (
	// Subcommand is how the bench starts itself to run one approach.
	Subcommand = "approach"
	// childTimeout bounds one approach.
	childTimeout = 30 * time.Minute
	// goroutinesInterval is how often goroutines are counted.
	goroutinesInterval = time.Millisecond
)

// job is what a child is told, and figures what it answers.
type (
	job struct {
		Approach    string
		Kubeconfig  string
		DatabaseURL string
		Workload    workload.Workload
	}
	figures struct {
		PeakGoroutines int
		API429         int
		PeakRSSBytes   int64
		Seconds        float64
		Lost           map[string]int
	}
)

// spawn runs a job in a process of its own.
func spawn(ctx context.Context, work job) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, childTimeout)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return figures{}, fmt.Errorf("find own binary: %w", err)
	}
	told, err := json.Marshal(work)
	if err != nil {
		return figures{}, fmt.Errorf("marshal job: %w", err)
	}
	child := exec.CommandContext(ctx, self, Subcommand)
	stdin, err := child.StdinPipe()
	if err != nil {
		return figures{}, fmt.Errorf("start approach: %w", err)
	}
	var stdout, stderr bytes.Buffer
	child.Stdout, child.Stderr = &stdout, &stderr
	if err := child.Start(); err != nil {
		return figures{}, fmt.Errorf("start approach: %w", err)
	}
	// The pipe stays open: a child whose standard input ends has lost its parent.
	_, writeErr := stdin.Write(told)
	if err := child.Wait(); err != nil {
		return figures{}, fmt.Errorf("approach: %w: %s", err, stderr.Bytes())
	}
	if writeErr != nil {
		return figures{}, fmt.Errorf("tell approach its job: %w", writeErr)
	}
	var answer figures
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return figures{}, fmt.Errorf("read what the approach answers: %w", err)
	}
	return answer, nil
}

// Child does one job, and ends early when its parent does.
func Child(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work job
	input := json.NewDecoder(in)
	if err := input.Decode(&work); err != nil {
		return fmt.Errorf("read job: %w", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		cancel()
	}()
	answer, err := work.measure(ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(answer)
}

// measure prepares the approach, and times it from the inside.
func (j job) measure(ctx context.Context) (figures, error) {
	approach, err := j.prepare(ctx)
	if err != nil {
		return figures{}, err
	}
	defer approach.close()
	goroutines := measure.WatchPeak(ctx, goroutinesInterval, func(context.Context) (int, error) { return runtime.NumGoroutine(), nil })
	began := time.Now()
	err = approach.run(ctx)
	took := time.Since(began)
	if err != nil {
		return figures{}, err
	}
	peak, err := goroutines.Stop()
	if err != nil {
		return figures{}, err
	}
	memory, err := measure.MemoryOf(os.Getpid())
	return figures{
		PeakGoroutines: peak, API429: approach.throttled(), PeakRSSBytes: memory.Peak, Seconds: took.Seconds(),
		Lost: approach.lost.count(),
	}, err
}
