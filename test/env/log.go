package env

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

const (
	tailLines = 20
	tailBytes = 16 << 10
)

// failure adds the last lines of the child's log to err.
func (p *process) failure(err error) error {
	return fmt.Errorf("%w; the end of %s:\n%s", err, p.log, tail(p.log))
}

// tail returns the last lines of a file, or why it can't.
func tail(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return []byte(err.Error())
	}
	defer func() { _ = file.Close() }()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-tailBytes), io.SeekStart)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return []byte(err.Error())
	}
	return lastLines(bytes.TrimSpace(text))
}

func lastLines(text []byte) []byte {
	lines := bytes.Split(text, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n"))
}
