package evolution

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// refusal is the line that Postgres logs for each connection that there is no room
// for, in the words of its versions.
var refusal = regexp.MustCompile(`FATAL:  (?:sorry, too many clients already|remaining connection slots are reserved)`)

// refusals is the part of Postgres' log that is written from now on.
type refusals struct {
	path string
	from int64
}

func watchRefusals(path string) (refusals, error) {
	info, err := os.Stat(path)
	if err != nil {
		return refusals{}, fmt.Errorf("read database log: %w", err)
	}
	return refusals{path: path, from: info.Size()}, nil
}

func (r refusals) count() (count int, err error) {
	log, err := os.Open(r.path)
	if err != nil {
		return 0, fmt.Errorf("read database log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if _, err := log.Seek(r.from, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read database log: %w", err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if refusal.Match(lines.Bytes()) {
			count++
		}
	}
	return count, lines.Err()
}
