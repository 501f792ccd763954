package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/yaml"
)

// table is an answer for people: the columns after wide are printed with -o wide alone.
type table struct {
	head []string
	rows [][]string
	wide int // how many columns -o table has
	// names are what -o name prints: the rows, or what they are of.
	names []string
	empty string // what is said on stderr where there are no rows
}

// print writes an answer in the form that -o asks for.
func (o *options) print(out, errOut io.Writer, answer any, t table) error {
	switch o.output {
	case "json":
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(answer)
	case "yaml":
		text, err := yaml.Marshal(answer)
		if err != nil {
			return fmt.Errorf("encode the answer: %w", err)
		}
		_, err = out.Write(text)
		return err
	case "name":
		for _, name := range t.names {
			fmt.Fprintln(out, name)
		}
		return nil
	}
	if len(t.rows) == 0 {
		fmt.Fprintln(errOut, t.empty)
		return nil
	}
	columns := len(t.head)
	if o.output == "table" {
		columns = t.wide
	}
	writer := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		cells := make([]string, columns)
		for i := range cells {
			cells[i] = printable(row[i])
		}
		fmt.Fprintln(writer, strings.Join(cells, "\t"))
	}
	return writer.Flush()
}

// printable keeps a cell on its line, and the terminal as it is: what control characters of
// a foreign text would do does not happen.
func printable(cell string) string {
	cell = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, cell)
	if cell == "" {
		return "-"
	}
	return cell
}

// printableLines is printable for a text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = printable(line)
		}
	}
	return strings.Join(lines, "\n")
}

// age is how long ago something was, as kubectl prints it.
func age(at *time.Time, now time.Time) string {
	if at == nil || at.IsZero() {
		return ""
	}
	return duration.HumanDuration(now.Sub(*at))
}

// reasoned is a state with the reason for it.
func reasoned(state, reason string) string {
	if reason == "" || state == "" {
		return state
	}
	return state + "/" + reason
}
