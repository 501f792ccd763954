package dashboard

import (
	"net/http"
	"net/url"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// pipelineActions are about a CdPipeline, and none of its runs.
var pipelineActions = []action{
	{offer.Trigger, confirmTrigger, trigger},
	{offer.Rollback, confirmRollback, asks(offer.Rollback, func(about offer.Subject, _ answers) rest.RunRequestSpec {
		return rest.RunRequestSpec{Action: "Rollback", PipelineRef: &rest.NameReference{Name: about.Pipeline}}
	})},
}

// triggerBuild is the request for the build that the address names, or that was chosen.
var triggerBuild = asks(offer.Trigger, func(about offer.Subject, form answers) rest.RunRequestSpec {
	return rest.RunRequestSpec{
		Action: "Trigger", PipelineRef: &rest.NameReference{Name: about.Pipeline}, BuildRef: &rest.NameReference{Name: form.build}, AllowOlder: form.allowOlder,
	}
})

func trigger(v *visit, about offer.Subject, form answers) (string, error) {
	if about.Build != "" {
		form.build = about.Build
	}
	if form.build == "" {
		return "", &Problem{Status: http.StatusUnprocessableEntity, Detail: "Choose the build to run the pipeline for. Nothing was done."}
	}
	return triggerBuild(v, about, form)
}

// buildChoices is how many builds a form offers.
const buildChoices = "50"

func confirmTrigger(v *visit, about offer.Subject) (ui.Confirmation, error) {
	list, err := ask[rest.RunList](v, nil, "namespaces", about.Namespace, "pipelines", about.Pipeline, "runs")
	if err != nil {
		return ui.Confirmation{}, err
	}
	if about.Build != "" {
		detail, err := ask[rest.BuildDetail](v, nil, "namespaces", about.Namespace, "builds", about.Build)
		if err != nil {
			return ui.Confirmation{}, err
		}
		return ui.ConfirmTrigger(about, list.Items, []rest.Build{detail.Build}), nil
	}
	query := url.Values{"phase": {"Succeeded"}, "limit": {buildChoices}}
	if len(list.Items) > 0 {
		newest, err := ask[rest.BuildDetail](v, url.Values{"limit": {"1"}}, "namespaces", about.Namespace, "builds", list.Items[0].Build)
		if err == nil {
			query.Set("pipeline", newest.Build.Pipeline)
		}
	}
	builds, err := ask[rest.BuildList](v, query, "namespaces", about.Namespace, "builds")
	if err != nil {
		return ui.Confirmation{}, err
	}
	if len(builds.Items) == 0 {
		return ui.Confirmation{}, notNow("No build in namespace " + about.Namespace + " has succeeded: there is nothing to run " + about.Pipeline + " for.")
	}
	return ui.ConfirmTrigger(about, list.Items, builds.Items), nil
}

func confirmRollback(v *visit, about offer.Subject) (ui.Confirmation, error) {
	list, err := ask[rest.RunList](v, nil, "namespaces", about.Namespace, "pipelines", about.Pipeline, "runs")
	if err != nil {
		return ui.Confirmation{}, err
	}
	return ui.ConfirmRollback(about, list.Items), nil
}
