package dashboard

import (
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// action is one thing that people can ask for.
type action struct {
	name offer.Name
	// confirm reads what the action is about, and tells what would happen. Its error says why it
	// can't be asked for now.
	confirm func(*visit, offer.Subject) (ui.Confirmation, error)
	// do asks for it, once for each nonce of a form, and returns the page that tells how it went.
	do func(*visit, offer.Subject, answers) (string, error)
}

// actions are all that people can ask for.
var actions = slices.Concat(runActions, pipelineActions, holdActions, buildActions, waveActions, messageActions, limitActions)

func actionNamed(name string) (action, error) {
	for _, one := range actions {
		if string(one.name) == name {
			return one, nil
		}
	}
	return action{}, noPage
}

// asked is the action of an address, and what it is about.
func (v *visit) asked() (action, offer.Subject, error) {
	wanted, err := actionNamed(v.r.PathValue("action"))
	if err != nil {
		return wanted, offer.Subject{}, err
	}
	about, err := offer.SubjectOf(v.r.URL.Query())
	if err != nil {
		return wanted, about, noPage
	}
	return wanted, about, nil
}

// confirm is the page that asks whether somebody means it, and why.
func confirm(v *visit) (ui.Page, error) {
	wanted, about, err := v.asked()
	if err != nil {
		return ui.Page{}, err
	}
	if err := v.require(offer.Needs(wanted.name, about)...); err != nil {
		return ui.Page{}, err
	}
	confirmation, err := wanted.confirm(v, about)
	if err != nil {
		return ui.Page{}, err
	}
	confirmation.Action, confirmation.Subject, confirmation.Nonce = wanted.name, about, newNonce()
	return ui.Page{
		Title: confirmation.Title, Section: confirmation.Section,
		Body: func(f ui.Frame) templ.Component { return ui.Confirm(f, confirmation) },
	}, nil
}

// act does what a confirmed form asks for. The rights are reviewed again by who does it.
func (d *Dashboard) act(w http.ResponseWriter, r *http.Request) {
	r = d.withSession(r)
	v, err := d.visit(w, r)
	if err != nil {
		d.fail(w, r, "", problemOf(err))
		return
	}
	next, err := v.act()
	if err != nil {
		d.fail(w, v.r, v.user.Name, problemOf(err))
		return
	}
	http.Redirect(w, r, d.path(next), http.StatusSeeOther)
}

func (v *visit) act() (string, error) {
	wanted, about, err := v.asked()
	if err != nil {
		return "", err
	}
	if err := v.require(offer.Needs(wanted.name, about)...); err != nil {
		return "", err
	}
	form, err := answersOf(v.r)
	if err != nil {
		return "", err
	}
	return wanted.do(v, about, form)
}
