package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// liveStreams are the streams of the API that pages may follow.
var liveStreams = []string{"events", "queue", "namespaces"}

// endingStream is a stream that ends by itself: that of what clusters answer.
const endingStream = "clusters/resources"

// liveResources is the address of the stream that tells when a cluster has answered a query.
func (v *visit) liveResources(query url.Values) string {
	address := v.live("clusters", "resources")
	if address == "" {
		return ""
	}
	return address + "?" + query.Encode()
}

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
	switch {
	case path == endingStream:
		query := r.URL.Query()
		query.Set("stream", "true")
		v.pass(path + "?" + query.Encode())
	case slices.Contains(liveStreams, first):
		v.pass(path + "?watch=true")
	default:
		http.NotFound(w, r)
	}
}

// pass has the API answer the browser itself.
func (v *visit) pass(path string) {
	request, err := v.request(v.r.Context(), http.MethodGet, "/api/v1/"+path, nil)
	if err != nil {
		http.Error(v.w, "the stream could not begin", http.StatusInternalServerError)
		return
	}
	v.config.API.ServeHTTP(v.w, request)
}
