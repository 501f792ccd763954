package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
)

// maxFreezeReason bounds, in bytes, what is said of a freeze in messages.
const maxFreezeReason = 512

// Freeze stops all triggering of CD pipelines. The zero Freeze stops nothing.
type Freeze struct {
	// Reason is for people.
	Reason string `json:"reason"`
	// Until is when it ends by itself; zero means when the variable is taken away.
	Until time.Time `json:"until,omitzero"`
	// Namespaces are those that it holds for; empty means all.
	Namespaces []string `json:"namespaces,omitempty"`
}

// UnmarshalText reads a JSON object {"reason": …, "until": …, "namespaces": […]}, or plain
// text, which is a reason and freezes all namespaces.
func (f *Freeze) UnmarshalText(text []byte) error {
	*f = Freeze{}
	if !bytes.HasPrefix(text, []byte("{")) {
		f.Reason = string(text)
		return nil
	}
	type fields Freeze // without this method
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode((*fields)(f)); err != nil {
		return errors.New("not the JSON of a freeze")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text behind the JSON of a freeze")
	}
	if f.Reason == "" {
		return errors.New("a freeze needs a reason")
	}
	return nil
}

// String is what UnmarshalText reads.
func (f Freeze) String() string {
	if f.Until.IsZero() && len(f.Namespaces) == 0 {
		return f.Reason
	}
	encoded, err := json.Marshal(f)
	if err != nil {
		return f.Reason // times beyond the year 9999 have no JSON, and are refused
	}
	return string(encoded)
}

func freezeRule() rule {
	return rule{
		allowed: `a reason, or JSON: {"reason": "…", "until": "2026-12-27T08:00:00Z", "namespaces": ["shop"]}, with a reason of at most 512 bytes, a time in RFC 3339 and names of namespaces`,
		holds: func(value reflect.Value) bool {
			freeze, ok := value.Interface().(Freeze)
			return ok && len(freeze.Reason) <= maxFreezeReason && !strings.ContainsFunc(freeze.Reason, isControl) &&
				!slices.ContainsFunc(freeze.Namespaces, func(namespace string) bool { return !isNamespace(namespace) })
		},
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
