package resources

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/penstock-cd/penstock/pkg/fleet/table"
)

// position is after which item a page begins.
type position struct {
	// Of is the query that it belongs to.
	Of string `json:"q"`
	// Kind, Cluster and Scope (the namespace that was listed) are those of the item's list.
	Kind    int    `json:"k"`
	Cluster string `json:"c"`
	Scope   string `json:"s,omitempty"`
	// Namespace and Name are the item's.
	Namespace string `json:"n,omitempty"`
	Name      string `json:"o"`
}

// fingerprint tells queries apart whose pages can't go on from each other.
func fingerprint(query Query) string {
	text := fmt.Sprintf("%v/%q/%d/%s", query.Kinds, query.LabelSelector, query.PerCluster, query.Asked)
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// parsePosition reads Query.Continue. The zero position is the beginning.
func parsePosition(query Query) (at position, err error) {
	if query.Continue == "" {
		return at, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(query.Continue)
	if err != nil || json.Unmarshal(text, &at) != nil || at.Kind < 0 || at.Kind >= len(query.Kinds) || at.Name == "" {
		return at, errors.New("the cursor is not one that Penstock has given: begin without it")
	}
	if at.Of != fingerprint(query) {
		return at, errors.New("the cursor belongs to another query: begin without it")
	}
	return at, nil
}

func (p position) String() string {
	text, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("resources: encode position: %v", err)) // it holds texts and a number
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// answer is the page after a position.
func (s *session) answer(after position, now time.Time) Answer {
	answer := Answer{Kinds: make([]Kind, len(s.query.Kinds))}
	for k, kind := range s.query.Kinds {
		answer.Kinds[k] = Kind{Kind: kind.String(), Columns: s.columnsOf(k), Items: []Item{}}
	}
	answer.Clusters, answer.Complete = s.clusters(now)
	left, last := s.query.Limit, after
	for i := range s.slots {
		one := &s.slots[i]
		if one.page == nil || isBefore(one, after) || one.unavailable != nil && one.unavailable.Skipped {
			continue
		}
		kind := &answer.Kinds[one.kind]
		for _, row := range rowsAfter(one, after) {
			if left == 0 {
				answer.Continue = last.String()
				return answer
			}
			kind.Items = append(kind.Items, item(one, row, kind.Columns, now))
			left, last = left-1, s.at(one, row)
		}
	}
	return answer
}

// rowsAfter are the rows of a list after a position that is not behind it.
func rowsAfter(one *slot, after position) []table.Row {
	rows := one.page.Rows
	if after.Name == "" || one.kind != after.Kind || one.cluster != after.Cluster || one.namespace != after.Scope {
		return rows
	}
	return rows[sort.Search(len(rows), func(i int) bool {
		return table.Compare(rows[i].Namespace, rows[i].Name, after.Namespace, after.Name) > 0
	}):]
}

// at is the position of a row.
func (s *session) at(one *slot, row table.Row) position {
	return position{
		Of: s.fingerprint, Kind: one.kind, Cluster: one.cluster, Scope: one.namespace, Namespace: row.Namespace, Name: row.Name,
	}
}

// isBefore tells whether a list is wholly before a position. Targets are in the order of
// their names.
func isBefore(one *slot, at position) bool {
	if at.Name == "" || one.kind != at.Kind {
		return at.Name != "" && one.kind < at.Kind
	}
	if one.cluster != at.Cluster {
		return one.cluster < at.Cluster
	}
	return one.namespace < at.Scope
}
