package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

const (
	// answerWait is how long a form waits for the controller's answer before its page is shown.
	answerWait = 3 * time.Second
	// answerInterval is how often it looks meanwhile.
	answerInterval = 250 * time.Millisecond
)

// asks returns what creates the RunRequest that spec makes of a form.
func asks(name offer.Name, spec func(offer.Subject, answers) rest.RunRequestSpec) func(*visit, offer.Subject, answers) (string, error) {
	return func(v *visit, about offer.Subject, form answers) (string, error) {
		wanted := spec(about, form)
		wanted.Reason = form.reason
		return v.createRunRequest(about.Namespace, nameOf(objectOf(wanted), name, form.once(v.user, name, about)), wanted)
	}
}

// objectOf is the name of what a request is about.
func objectOf(spec rest.RunRequestSpec) string {
	if spec.Target != nil {
		return spec.Target.Name
	}
	return spec.PipelineRef.Name
}

// createRunRequest has the API create a RunRequest, and returns the page that tells what became
// of it. It is the only place in which the dashboard asks for an action.
func (v *visit) createRunRequest(namespace, name string, spec rest.RunRequestSpec) (string, error) {
	made, err := tell[rest.RunRequest](v, rest.RunRequestInput{Name: name, Spec: spec}, "namespaces", namespace, "runrequests")
	var told *Problem
	switch {
	case errors.As(err, &told) && told.Status == http.StatusConflict:
		return "", notNow("You have sent this form before, with another reason or choice, and what you asked for then counts: RunRequest " + name + ". To ask once more, look again.")
	case err != nil:
		return "", err
	}
	if made.Status.Phase == "" {
		v.awaitAnswer(namespace, name)
	}
	return "/requests/" + namespace + "/" + name, nil
}

// awaitAnswer waits a moment for the controller. Where no answer comes, the page tells so.
func (v *visit) awaitAnswer(namespace, name string) {
	ctx, cancel := context.WithTimeout(v.r.Context(), answerWait)
	defer cancel()
	ticker := time.NewTicker(answerInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		found, err := ask[rest.RunRequest](v, nil, "namespaces", namespace, "runrequests", name)
		if err != nil || found.Status.Phase != "" {
			return
		}
	}
}

// request is the page of a RunRequest: who asked for what and why, and how it went.
func request(v *visit) (ui.Page, error) {
	namespace, name := v.r.PathValue("namespace"), v.r.PathValue("name")
	found, err := ask[rest.RunRequest](v, nil, "namespaces", namespace, "runrequests", name)
	if err != nil {
		return ui.Page{}, err
	}
	view := ui.RequestView{Request: found}
	page := ui.Page{Title: ui.RequestTitle(found), Section: "Applications"}
	if found.Spec.BuildRef != nil {
		page.Live = v.live("namespaces", namespace, "builds", found.Spec.BuildRef.Name)
	}
	if run := runOf(found); run > 0 {
		page.Live = v.live("namespaces", namespace, "runs", ui.Number(run))
		if detail, err := ask[rest.RunDetail](v, nil, "namespaces", namespace, "runs", ui.Number(run)); err == nil {
			view.Run = &detail.Run
		}
	}
	page.Body = func(f ui.Frame) templ.Component { return ui.Request(f, view) }
	return page, nil
}

// runOf is the run that a request has made or changed, or is about; 0 where none is known.
func runOf(found rest.RunRequest) int64 {
	if found.Status.Run != 0 || found.Spec.Run == nil {
		return found.Status.Run
	}
	return *found.Spec.Run
}

// notNow is why an action can't be asked for in the state that its object is in.
func notNow(detail string) error { return &Problem{Status: http.StatusConflict, Detail: detail} }
