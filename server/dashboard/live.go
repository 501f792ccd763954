package dashboard

import (
	"net/http"
	"net/url"
	"strings"
)

// liveStreams are the streams of the API that pages may follow.
var liveStreams = []string{"events", "queue", "namespaces"}

// live is the address of the stream that tells of changes to what a path of the API shows.
// Who has not signed in has none: a stream asks again who its user is.
func (v *visit) live(segments ...string) string {
	if !hasCredentials(v.r) {
		return ""
	}
	address := v.path("/live")
	for _, segment := range segments {
		address += "/" + url.PathEscape(segment)
	}
	return address
}

// stream passes a stream of the API on. The browser sends the session's cookies alone, so that
// it can't ask the API itself.
func (d *Dashboard) stream(w http.ResponseWriter, r *http.Request) {
	v, err := d.visit(w, d.withSession(r))
	if err != nil {
		http.Error(w, err.Error(), problemOf(err).Status)
		return
	}
	path, _ := strings.CutPrefix(r.URL.EscapedPath(), "/live/")
	first, _, _ := strings.Cut(path, "/")
	for _, known := range liveStreams {
		if known == first {
			request, err := v.request(v.r.Context(), http.MethodGet, "/api/v1/"+path+"?watch=true", nil)
			if err != nil {
				http.Error(w, "the stream could not begin", http.StatusInternalServerError)
				return
			}
			d.config.API.ServeHTTP(w, request)
			return
		}
	}
	http.NotFound(w, r)
}
