package dashboard

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/penstock-cd/penstock/server/dashboard/ui"
	"github.com/penstock-cd/penstock/server/problem"
)

// Problem is why a page can't be shown. Its text is for the reader.
type Problem struct {
	Status     int
	Detail     string
	RetryAfter string // seconds; empty where nobody knows
}

// noPage is the problem of an address that nothing is at.
var noPage = &Problem{Status: http.StatusNotFound, Detail: "There is no page at this address."}

// Error returns what the reader is told.
func (p *Problem) Error() string { return p.Detail }

// problemOf turns an error of the server into what the reader is told.
func problemOf(err error) *Problem {
	var told *Problem
	if errors.As(err, &told) {
		return told
	}
	return &Problem{Status: problem.Status(err), Detail: problem.Detail(err), RetryAfter: problem.RetryAfter(err)}
}

// fail shows a problem as a page, to a user where they are known. Who has to sign in is sent
// there.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, user string, told *Problem) {
	if told.Status == http.StatusUnauthorized && (d.sessions.Has(r) || r.Header.Get("Authorization") == "") {
		d.toSignIn(w, r)
		return
	}
	if told.RetryAfter != "" {
		w.Header().Set("Retry-After", told.RetryAfter)
	}
	frame := d.frame(w, r, http.StatusText(told.Status))
	frame.User = user
	d.render(w, r, told.Status, ui.Layout(frame, ui.Failure(frame, told.Status, told.Detail, told.RetryAfter)))
}

// toSignIn sends to the sign-in, and from there back. A script that looks at its page leaves the
// cookies to the visit that follows, which is the one that the reader sees.
func (d *Dashboard) toSignIn(w http.ResponseWriter, r *http.Request) {
	query := url.Values{"next": {r.URL.RequestURI()}}
	if d.sessions.Has(r) {
		query.Set("ended", "true")
	}
	if r.Header.Get("Sec-Fetch-Dest") != "empty" {
		d.sessions.End(w, r)
	}
	http.Redirect(w, r, d.path("/sign-in")+"?"+query.Encode(), http.StatusSeeOther)
}

// path is the address of a page for the browser.
func (d *Dashboard) path(page string) string {
	if d.config.BasePath == "/" {
		return page
	}
	return d.config.BasePath + page
}
