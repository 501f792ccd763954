package measure

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory is what a process holds in RAM, in bytes, now and at most since it began.
type Memory struct{ Resident, Peak int64 }

// MemoryOf reads VmRSS and VmHWM of /proc/PID/status (proc_pid_status(5)), so it
// needs Linux.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory of process: %w", err)
	}
	return parseStatus(text)
}

func parseStatus(text []byte) (Memory, error) {
	kibibytes := map[string]int64{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		number, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("read memory of process: %w", err)
		}
		kibibytes[name] = number
	}
	if len(kibibytes) != 2 {
		return Memory{}, fmt.Errorf("read memory of process: its status has no VmRSS or no VmHWM")
	}
	return Memory{Resident: kibibytes["VmRSS"] << 10, Peak: kibibytes["VmHWM"] << 10}, nil
}

// metricTimeout bounds one request for a process's metrics.
const metricTimeout = 10 * time.Second

// Metric reads one metric without labels from where a process serves them.
func Metric(ctx context.Context, url, name string) (value float64, err error) {
	err = expose(ctx, url, func(exposition io.Reader) error {
		value, err = findMetric(exposition, name)
		return err
	})
	return value, err
}

// MetricSum adds up a metric over all values of its labels; zero where there is none yet.
func MetricSum(ctx context.Context, url, name string) (sum float64, err error) {
	err = expose(ctx, url, func(exposition io.Reader) error {
		sum, err = sumMetric(exposition, name)
		return err
	})
	return sum, err
}

// expose reads what a process serves.
func expose(ctx context.Context, url string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, metricTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("read metric: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("read metric: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return read(response.Body)
}

func sumMetric(exposition io.Reader, name string) (float64, error) {
	sum := 0.0
	lines := bufio.NewScanner(exposition)
	for lines.Scan() {
		labels, found := strings.CutPrefix(lines.Text(), name+"{")
		if !found {
			continue
		}
		value, err := strconv.ParseFloat(labels[strings.LastIndexByte(labels, ' ')+1:], 64)
		if err != nil {
			return 0, fmt.Errorf("read metric %s: %w", name, err)
		}
		sum += value
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metric: %w", err)
	}
	return sum, nil
}

func findMetric(exposition io.Reader, name string) (float64, error) {
	lines := bufio.NewScanner(exposition)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read metric: %w", err)
	}
	return 0, fmt.Errorf("read metric: there is none named %s", name)
}
