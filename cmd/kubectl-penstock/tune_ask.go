package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ask asks for what is not known. An empty answer leaves it so.
func (k *knownInputs) ask(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	for _, question := range k.questions() {
		if k.knows(question.input) {
			continue
		}
		for {
			fmt.Fprint(out, question.text+" [Enter: not known] ")
			line, err := lines.ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("read the answer: %w", err)
			}
			answer := strings.TrimSpace(line)
			if answer == "" {
				break
			}
			if problem := question.take(answer); problem == nil {
				k.from[question.input] = "asked"
				break
			}
			fmt.Fprintf(out, "%s is no such figure.\n", printable(answer))
			if err != nil {
				break
			}
		}
	}
	return nil
}

type question struct {
	input, text string
	take        func(string) error
}

var errNotPositive = errors.New("must be above 0")

func (k *knownInputs) questions() []question {
	number := func(into *float64) func(string) error {
		return func(text string) (err error) {
			value, err := strconv.ParseFloat(text, 64)
			if err != nil || !(value > 0) {
				return errNotPositive
			}
			*into = value
			return nil
		}
	}
	return []question{
		{inputRate, "Requests a second that the API server gives Penstock?", number(&k.Rate)},
		{inputLatency, "How long does one create of a Workflow take, such as 50ms?", func(text string) error {
			latency, err := time.ParseDuration(text)
			if err != nil || latency <= 0 {
				return errNotPositive
			}
			k.Latency = latency
			return nil
		}},
		{inputConnections, "Free connections to Postgres?", func(text string) error {
			free, err := strconv.Atoi(text)
			if err != nil || free < 0 {
				return errNotPositive
			}
			k.FreeConnections = free
			return nil
		}},
		{inputMemory, "Free memory of the controller, such as 128Mi?", func(text string) (err error) {
			free, err := byteCount("the memory", text)
			if err == nil {
				k.FreeMemory = free
			}
			return err
		}},
		{inputCores, "Cores that the controller may use?", number(&k.Cores)},
	}
}
