package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/problem"
)

// cursor is where a page begins. Query ties it to the list that it was made for: the
// position of another list means nothing here.
type cursor struct {
	Query []byte          `json:"q"`
	At    json.RawMessage `json:"at"`
}

// queryHash is that of the list's name and filters.
func queryHash(parts []string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return sum[:6]
}

// encodeCursor returns the opaque text of a position in a list.
func encodeCursor(at any, query ...string) string {
	encoded, err := json.Marshal(at)
	if err != nil {
		panic("api: a position can't be encoded: " + err.Error())
	}
	text, err := json.Marshal(cursor{Query: queryHash(query), At: encoded})
	if err != nil {
		panic("api: a cursor can't be encoded: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// decodeCursor reads what encodeCursor made for the same list. An empty text leaves the
// position as it is.
func decodeCursor(text string, at any, query ...string) error {
	if text == "" {
		return nil
	}
	bad := problem.New(http.StatusBadRequest, "the cursor is not one of this server: leave ?cursor= out to begin anew")
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return bad
	}
	var known cursor
	if json.Unmarshal(decoded, &known) != nil {
		return bad
	}
	if !bytes.Equal(known.Query, queryHash(query)) {
		return problem.New(http.StatusBadRequest, "the cursor belongs to another query: send it with the path and filters of the page that it came with, or leave ?cursor= out")
	}
	if json.Unmarshal(known.At, at) != nil {
		return bad
	}
	return nil
}

// streamQuery is the name of every stream: a position in the events means the same in all.
const streamQuery = "stream"

// StreamCursor returns the text of a position in the events.
func StreamCursor(position view.Position) string { return encodeCursor(position, streamQuery) }
