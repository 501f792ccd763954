// Package table reads lists of Kubernetes objects in the API server's own columns, those
// that kubectl prints, and writes nothing. It reads a row at a time, so that a long list
// costs no more memory than its cells.
//
// Ages are not kept as text, since they would be wrong a moment later: Cells computes them
// for the time of an answer.
package table

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/intern"
)

// Accept asks for a Table, and takes a list of a kind that has none.
const Accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// Column is one column.
type Column struct {
	Name string `json:"name"`
	// Type is OpenAPI's: string, integer, number, boolean or date.
	Type string `json:"type"`
	// Priority is 0 for columns that are always shown, more for those of -o wide.
	Priority int32 `json:"priority,omitempty"`
}

// Row is one object.
type Row struct {
	Namespace, Name, UID string
	Created              time.Time
	// cells are strings, json.Numbers, booleans and nil; those of ages are empty.
	cells []any
}

// Page is what was read of a list, in one request or several. It is not changed after the
// last Read, and is then safe for concurrent use.
type Page struct {
	Columns []Column
	// Rows are in the order of namespace and name once Finish was called.
	Rows []Row
	// Continue asks for what comes after; empty at the end of the list.
	Continue string
	// Remaining is how many come after, as far as the server tells.
	Remaining int64
	// Bytes is about how much memory the page takes.
	Bytes int
	// ReadAt is when it was read.
	ReadAt time.Time
}

// errFull ends reading where there are enough rows.
var errFull = errors.New("enough rows")

// Read adds what an answer holds, a Table or a list, until there are most rows. It returns
// an error where the answer is neither, or ends too early; the page is then of no use.
func (p *Page) Read(answer io.Reader, most int) error {
	decoder := json.NewDecoder(answer)
	decoder.UseNumber()
	if err := expect(decoder, '{'); err != nil {
		return err
	}
	p.Continue, p.Remaining = "", 0
	hasRows := false
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		switch name {
		case "rows", "items":
			hasRows = true
			err = p.readRows(decoder, name == "items", most)
		case "metadata":
			err = p.readMetadata(decoder)
		case "columnDefinitions":
			p.Columns = nil
			err = decoder.Decode(&p.Columns)
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if errors.Is(err, errFull) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read list: %w", err)
		}
	}
	if !hasRows {
		return errors.New("read list: the answer is neither a Table nor a list")
	}
	return expect(decoder, '}')
}

func (p *Page) readMetadata(decoder *json.Decoder) error {
	var metadata struct {
		Continue  string `json:"continue"`
		Remaining int64  `json:"remainingItemCount"`
	}
	err := decoder.Decode(&metadata)
	p.Continue, p.Remaining = metadata.Continue, metadata.Remaining
	return err
}

func (p *Page) readRows(decoder *json.Decoder, isList bool, most int) error {
	opening, err := decoder.Token()
	if err != nil || opening == nil { // an empty list may be null
		return err
	}
	if opening != json.Delim('[') {
		return errors.New("rows are not a list")
	}
	if isList {
		p.Columns = listColumns
	}
	for decoder.More() {
		if len(p.Rows) >= most {
			return errFull
		}
		row, err := readRow(decoder, isList)
		if err != nil {
			return err
		}
		p.add(row)
	}
	return expect(decoder, ']')
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return fmt.Errorf("read list: %w", err)
	}
	if token != want {
		return fmt.Errorf("read list: the answer is no %s", want)
	}
	return nil
}

// object is what is read of one object's metadata, and of a list's own conditions.
type object struct {
	Metadata struct {
		Namespace string    `json:"namespace"`
		Name      string    `json:"name"`
		UID       string    `json:"uid"`
		Created   time.Time `json:"creationTimestamp"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

// listColumns are those of a kind that has no Table.
var listColumns = []Column{{Name: "Name", Type: "string"}, {Name: "Age", Type: "string"}, {Name: "Conditions", Type: "string"}}

func readRow(decoder *json.Decoder, isList bool) (Row, error) {
	var wire struct {
		Cells  []any  `json:"cells"`
		Object object `json:"object"`
	}
	if isList {
		if err := decoder.Decode(&wire.Object); err != nil {
			return Row{}, err
		}
		wire.Cells = []any{wire.Object.Metadata.Name, "", conditions(wire.Object)}
	} else if err := decoder.Decode(&wire); err != nil {
		return Row{}, err
	}
	metadata := wire.Object.Metadata
	return Row{
		Namespace: intern.Text(metadata.Namespace), Name: metadata.Name, UID: metadata.UID, Created: metadata.Created, cells: wire.Cells,
	}, nil
}

// conditions are the types of those that hold.
func conditions(of object) string {
	var hold []string
	for _, condition := range of.Status.Conditions {
		if condition.Status == "True" {
			hold = append(hold, condition.Type)
		}
	}
	return strings.Join(hold, ",")
}

// overhead is about what a Row takes beside its texts, in bytes.
const overhead = 160

// add keeps a row. Texts that many rows have in common, such as Running, are kept once.
func (p *Page) add(row Row) {
	p.Bytes += overhead + len(row.Name) + len(row.UID)
	for i, cell := range row.cells {
		p.Bytes += 16
		text, ok := cell.(string)
		switch {
		case !ok:
		case text == row.Name:
			row.cells[i] = row.Name
		case i < len(p.Columns) && isAge(p.Columns[i]):
			row.cells[i] = nil
		case len(text) <= maxShared:
			row.cells[i] = intern.Text(text)
		default:
			p.Bytes += len(text)
		}
	}
	p.Rows = append(p.Rows, row)
}

// maxShared is the longest text that is worth to be kept once, in bytes.
const maxShared = 32

// Finish sorts the rows, after the last Read.
func (p *Page) Finish(readAt time.Time) {
	p.ReadAt = readAt
	p.Rows = slices.Clip(p.Rows)
	p.Columns = shared(p.Columns)
	slices.SortFunc(p.Rows, func(a, b Row) int { return Compare(a.Namespace, a.Name, b.Namespace, b.Name) })
}

// columnSets are those that were seen, so that the pages of many clusters share them.
var columnSets = struct {
	sync.Mutex
	known map[string][]Column
}{known: map[string][]Column{}}

// maxColumnSets bounds how many are known; once they are that many, all are forgotten.
const maxColumnSets = 1024

func shared(columns []Column) []Column {
	key := fmt.Sprint(columns)
	columnSets.Lock()
	defer columnSets.Unlock()
	if known, ok := columnSets.known[key]; ok {
		return known
	}
	if len(columnSets.known) >= maxColumnSets {
		clear(columnSets.known)
	}
	columnSets.known[key] = columns
	return columns
}

// Compare is the order of rows: by namespace, then by name.
func Compare(namespace, name, otherNamespace, otherName string) int {
	return cmp.Or(cmp.Compare(namespace, otherNamespace), cmp.Compare(name, otherName))
}
