package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// static serves files under names that change with their content, so that browsers may keep
// them forever.
type static struct {
	// names are the served names by the files' own.
	names map[string]string
	files map[string]staticFile // by served name
}

type staticFile struct {
	kind          string
	plain, zipped []byte
}

func newStatic() (*static, error) {
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, err
	}
	s := &static{names: map[string]string{}, files: map[string]staticFile{}}
	for _, entry := range entries {
		plain, err := staticFiles.ReadFile("static/" + entry.Name())
		if err != nil {
			return nil, err
		}
		zipped, err := zip(plain)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(plain)
		extension := path.Ext(entry.Name())
		served := strings.TrimSuffix(entry.Name(), extension) + "-" + hex.EncodeToString(sum[:6]) + extension
		s.names[entry.Name()] = served
		s.files[served] = staticFile{kind: mime.TypeByExtension(extension), plain: plain, zipped: zipped}
	}
	return s, nil
}

func zip(plain []byte) ([]byte, error) {
	var zipped bytes.Buffer
	w, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return zipped.Bytes(), err
}

// ServeHTTP implements http.Handler.
func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, found := s.files[r.PathValue("file")]
	if !found {
		http.NotFound(w, r)
		return
	}
	header := w.Header()
	header.Set("Content-Type", file.kind)
	header.Set("Cache-Control", "public, max-age=31536000, immutable")
	header.Set("Vary", "Accept-Encoding")
	content := file.plain
	if takesGzip(r) {
		header.Set("Content-Encoding", "gzip")
		content = file.zipped
	}
	_, _ = w.Write(content) // a browser that is gone needs no answer
}
