package retention

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/test/measure"
)

// logSettings have Postgres log what each message of a client took, and in which process.
var logSettings = []string{"log_min_duration_statement=0", "log_parameter_max_length=0", "log_line_prefix=%n|%a|%p|"}

// message is such a line of Penstock's. To bind is to plan.
var message = regexp.MustCompile(`^(\d+\.\d+)\|penstock\|(\d+)\|LOG:  duration: (\S+) ms  (bind|execute)\b[^:]*: -- name: (\w*)`)

// statements are what was taken by those that count.
type statements struct {
	claims       []time.Duration
	longestBatch time.Duration
	// longestQuery is the query that took so long.
	longestQuery string
}

// statements reads the log of what happened while rounds pruned.
func (s *subject) statements(rounds []measure.Span) (statements, error) {
	log, err := os.Open(s.Postgres.Log())
	if err != nil {
		return statements{}, fmt.Errorf("read database log: %w", err)
	}
	defer func() { _ = log.Close() }()
	return readStatements(log, rounds)
}

func readStatements(log io.Reader, rounds []measure.Span) (statements, error) {
	var found statements
	bound := map[string]time.Duration{} // by the server's process
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		match := message.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			return statements{}, fmt.Errorf("read database log: %w", err)
		}
		milliseconds, err := strconv.ParseFloat(match[3], 64)
		if err != nil {
			return statements{}, fmt.Errorf("read database log: %w", err)
		}
		took := time.Duration(milliseconds * float64(time.Millisecond))
		if match[4] == "bind" {
			bound[match[2]] = took
			continue
		}
		if isWithin(time.UnixMilli(int64(seconds*1000)), rounds) {
			found.add(match[5], bound[match[2]]+took)
		}
	}
	return found, lines.Err()
}

func (s *statements) add(query string, took time.Duration) {
	switch {
	case query == "ClaimTasks":
		s.claims = append(s.claims, took)
	case strings.HasPrefix(query, "Prune") && took > s.longestBatch:
		s.longestBatch, s.longestQuery = took, query
	}
}

func isWithin(at time.Time, rounds []measure.Span) bool {
	for _, one := range rounds {
		if !at.Before(one.Begin) && !at.After(one.End) {
			return true
		}
	}
	return false
}
