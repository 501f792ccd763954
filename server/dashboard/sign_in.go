package dashboard

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/penstock-cd/penstock/server/dashboard/session"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
	"github.com/penstock-cd/penstock/server/identity"
)

// maxFormBytes bounds a form.
const maxFormBytes = 64 << 10

// form serves what a form of the dashboard sends. Other pages can't send it: browsers tell
// where a form comes from, and it holds a token that is for this browser and session alone.
func (d *Dashboard) form(pattern string, do http.HandlerFunc) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
		if err := r.ParseForm(); err != nil {
			d.fail(w, r, "", &Problem{Status: http.StatusBadRequest, Detail: "The form could not be read."})
			return
		}
		if d.origins.Check(r) != nil || !d.sessions.IsForm(r) {
			d.fail(w, r, "", &Problem{Status: http.StatusForbidden, Detail: "The form was not sent by a page of this session, so nothing was done. Go back, load the page again and send it again."})
			return
		}
		do(w, r)
	})
}

func (d *Dashboard) showSignIn(w http.ResponseWriter, r *http.Request) {
	message := ""
	if r.URL.Query().Get("ended") != "" {
		message = "Your session has ended: its token is not valid any more, or its time is over. Sign in again."
	}
	d.renderSignIn(w, r, http.StatusOK, local(r.URL.Query().Get("next")), message)
}

func (d *Dashboard) renderSignIn(w http.ResponseWriter, r *http.Request, status int, next, message string) {
	frame := d.frame(w, r, "Sign in")
	frame.Here = "/sign-in?next=" + url.QueryEscape(next)
	choice := ui.SignInChoice{Next: next, Message: message, IsSignedOut: r.URL.Query().Get("out") != "" && message == ""}
	if d.config.Provider != nil {
		choice.Provider = d.config.Provider.Host()
	}
	if choice.IsSignedOut {
		choice.SignOutURL = d.signOutAtProvider(r)
	}
	d.render(w, r, status, ui.Layout(frame, ui.SignIn(frame, choice)))
}

// signIn begins a session once the API server has accepted the token.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request) {
	token, next := strings.TrimSpace(r.PostFormValue("token")), local(r.PostFormValue("next"))
	asking := r.Clone(r.Context())
	asking.Header.Set("Authorization", "Bearer "+token)
	if _, err := d.config.Identify(asking); err != nil {
		told := problemOf(err)
		d.renderSignIn(w, r, told.Status, next, told.Detail)
		return
	}
	switch err := d.sessions.Begin(w, r, token); {
	case errors.Is(err, session.ErrTooLong):
		d.renderSignIn(w, r, http.StatusBadRequest, next, "The token is too long for a session. Use kubectl penstock dashboard.")
	case err != nil:
		d.notBegun(w, r, err)
	default:
		http.Redirect(w, r, d.path(next), http.StatusSeeOther)
	}
}

func (d *Dashboard) signOut(w http.ResponseWriter, r *http.Request) {
	to := "/sign-in"
	if identity.HasSession(d.withPerson(r)) {
		to += "?out=true"
	}
	d.sessions.End(w, r)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, d.path(to), http.StatusSeeOther)
}

// local returns a path of the dashboard, and / for anything else, so that nobody is sent to
// another site, nor out of the base path to another program of this one.
func local(address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.IsAbs() || parsed.Host != "" || !strings.HasPrefix(parsed.Path, "/") || strings.HasPrefix(parsed.Path, "//") || strings.Contains(address, `\`) {
		return "/"
	}
	for segment := range strings.SplitSeq(parsed.Path, "/") {
		if segment == "." || segment == ".." {
			return "/"
		}
	}
	return parsed.RequestURI()
}
