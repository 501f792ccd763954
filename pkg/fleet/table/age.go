package table

import (
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// isAge tells whether a column is the time since the object was created.
func isAge(column Column) bool { return column.Name == "Age" }

// isSince tells whether a column is another time that has passed, which the API server
// gives as text alone.
func isSince(column Column) bool { return column.Type == "date" || column.Name == "Last Seen" }

// Cells are a row's cells at a time: ages are computed for it.
func (p *Page) Cells(row Row, now time.Time) []any {
	cells := make([]any, len(row.cells))
	copy(cells, row.cells)
	for i := range min(len(cells), len(p.Columns)) {
		switch column := p.Columns[i]; {
		case isAge(column):
			cells[i] = age(row.Created, now)
		case isSince(column):
			cells[i] = older(cells[i], now.Sub(p.ReadAt))
		}
	}
	return cells
}

func age(created, now time.Time) string {
	if created.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(now.Sub(created))
}

// older adds to a duration as kubectl prints it. What is none stays as it is.
func older(cell any, by time.Duration) any {
	text, ok := cell.(string)
	if !ok || by < time.Second {
		return cell
	}
	before, ok := parse(text)
	if !ok {
		return cell
	}
	return duration.HumanDuration(before + by)
}

var units = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'y': 365 * 24 * time.Hour}

// parse reads a duration such as 5m30s or 2y45d.
func parse(text string) (total time.Duration, ok bool) {
	for text != "" {
		end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		if end <= 0 {
			return 0, false
		}
		count, err := strconv.Atoi(text[:end])
		unit := units[text[end]]
		if err != nil || unit == 0 || count > 1000000 {
			return 0, false
		}
		total += time.Duration(count) * unit
		text = text[end+1:]
	}
	return total, total > 0
}
