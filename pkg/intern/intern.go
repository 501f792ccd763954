// Package intern keeps one copy of a text that many cached objects have in common, such
// as the name of their namespace or of their template.
//
// unique.Make does not serve: its copy is forgotten once only the text, and no longer
// the handle, is referred to, and what comes after the next garbage collection gets a
// copy of its own.
package intern

import (
	"strings"
	"sync"
)

const (
	// most bounds how many texts are known. Once they are that many, all are
	// forgotten: what has been handed out stays as it is.
	most = 8192
	// longest is the most bytes of a text that is shared: longer ones are rarely the same.
	longest = 512
)

// table holds the one copy of each text.
type table struct {
	mu    sync.Mutex
	texts map[string]string
}

// shared is the process's own: objects of all caches have texts in common.
var shared = newTable()

func newTable() *table { return &table{texts: map[string]string{}} }

// Text returns the same text, of which there is one copy for all who ask. It is safe for
// concurrent use.
func Text[T ~string](text T) T { return T(shared.text(string(text))) }

func (t *table) text(text string) string {
	if len(text) == 0 || len(text) > longest {
		return text
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.texts[text]; ok {
		return known
	}
	if len(t.texts) >= most {
		clear(t.texts)
	}
	// A clone, since the text may be a part of a larger one.
	known := strings.Clone(text)
	t.texts[known] = known
	return known
}

// Fields does so with each of these.
func Fields[T ~string](fields ...*T) {
	for _, field := range fields {
		*field = Text(*field)
	}
}
