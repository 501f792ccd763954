package dashboard

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"

	"github.com/a-h/templ"
)

// zippers are used again: each has 800 KiB of tables.
var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

func takesGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(one), ";")
		if coding == "gzip" && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}

// render writes a page. Pages are for one user, and are as old as the moment they were made.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, page templ.Component) {
	var text bytes.Buffer
	if err := page.Render(r.Context(), &text); err != nil {
		d.config.Log.Error(err, "page not rendered", "path", r.URL.Path)
		http.Error(w, "the page could not be rendered; the server's log has the reason", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "private, no-store")
	header.Add("Vary", "Cookie, Accept-Encoding")
	if !takesGzip(r) {
		w.WriteHeader(status)
		_, _ = w.Write(text.Bytes()) // a browser that is gone needs no answer
		return
	}
	header.Set("Content-Encoding", "gzip")
	w.WriteHeader(status)
	_, _ = w.Write(zipped(text.Bytes()))
}

// zipped compresses a page before anything is written, so that a slow browser holds no zipper.
func zipped(text []byte) []byte {
	var compressed bytes.Buffer
	zipper, _ := zippers.Get().(*gzip.Writer)
	defer zippers.Put(zipper)
	zipper.Reset(&compressed)
	_, _ = zipper.Write(text) // a buffer takes everything
	_ = zipper.Close()
	return compressed.Bytes()
}
