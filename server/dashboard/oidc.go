package dashboard

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/server/dashboard/session"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/oidc"
)

// goToProvider sends the browser to the identity provider. It is a link and not a form, since
// the Content-Security-Policy lets no form lead to another site.
func (d *Dashboard) goToProvider(w http.ResponseWriter, r *http.Request) {
	next := local(r.URL.Query().Get("next"))
	if strings.HasPrefix(next, "/sign-in") {
		next = "/" // who is signed in has nothing to do there
	}
	flow, address, err := d.config.Provider.Begin(r.Context(), next)
	if err != nil {
		d.refuseSignIn(w, r, next, err)
		return
	}
	if err := d.sessions.KeepFlow(w, flow, oidc.FlowLifetime); err != nil {
		d.notBegun(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, address, http.StatusSeeOther) //nolint:gosec // the provider has published it
}

// comeBack begins a session once the identity provider has told who somebody is.
func (d *Dashboard) comeBack(w http.ResponseWriter, r *http.Request) {
	var flow oidc.Flow
	d.sessions.TakeFlow(w, r, &flow) // without one the answer is refused
	w.Header().Set("Cache-Control", "no-store")
	found, err := d.config.Provider.Finish(r.Context(), flow, r.URL.Query())
	if err != nil {
		d.refuseSignIn(w, r, flow.Next, err)
		return
	}
	person := session.Person{Name: found.User.Name, Groups: found.User.Groups, Of: d.config.Provider.Settings()}
	switch err := d.sessions.BeginAs(w, r, person); {
	case errors.Is(err, session.ErrTooLong):
		d.refuseSignIn(w, r, flow.Next, &oidc.RefusedError{
			Status: http.StatusForbidden, Reason: err,
			Detail: "You have more groups at the identity provider than fit into a session. Ask an administrator to have the provider send those alone that are assigned to the dashboard.",
		})
	case err != nil:
		d.notBegun(w, r, err)
	default:
		d.config.Log.Info("person is signed in", "user", person.Name, "groups", len(person.Groups), "droppedGroups", found.Dropped, "provider", d.config.Provider.Host())
		http.Redirect(w, r, d.path(local(flow.Next)), http.StatusSeeOther)
	}
}

// refuseSignIn shows why somebody is not signed in, where they can do it again.
func (d *Dashboard) refuseSignIn(w http.ResponseWriter, r *http.Request, next string, err error) {
	var refused *oidc.RefusedError
	if !errors.As(err, &refused) {
		refused = &oidc.RefusedError{Status: http.StatusInternalServerError, Detail: "The sign-in failed; the server's log has the reason.", Reason: err}
	}
	if refused.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(d.config.RetryAfter/time.Second)))
	}
	d.config.Refused(r, identity.User{}, &identity.RefusedError{Status: refused.Status, Detail: refused.Reason.Error()})
	d.renderSignIn(w, r, refused.Status, local(next), refused.Detail)
}

// notBegun shows a failure of our own.
func (d *Dashboard) notBegun(w http.ResponseWriter, r *http.Request, err error) {
	d.config.Log.Error(err, "session not begun")
	d.fail(w, r, "", &Problem{Status: http.StatusInternalServerError, Detail: "The session could not begin; the server's log has the reason."})
}

// signOutAtProvider is where a person can end their session at the identity provider too.
func (d *Dashboard) signOutAtProvider(r *http.Request) string {
	if d.config.Provider == nil {
		return ""
	}
	return d.config.Provider.SignOutURL(r.Context(), d.config.BrowserURL+"/sign-in")
}

// withPerson returns the request with the session of a person whom the identity provider knows.
func (d *Dashboard) withPerson(r *http.Request) *http.Request {
	if d.config.Provider == nil {
		return r
	}
	person, over := d.sessions.Person(r, d.config.Provider.Settings())
	if person == nil {
		return r
	}
	return identity.WithSession(r, identity.Session{User: identity.Known(identity.User{Name: person.Name, Groups: person.Groups}), Over: over})
}
