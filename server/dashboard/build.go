package dashboard

import (
	"slices"

	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// buildLimit is how many decisions, runs and events one page of a build shows.
const buildLimit = "200"

// build is the page of one build: what was decided for each pipeline and why, its runs, and
// what happened.
func build(v *visit) (ui.Page, error) {
	namespace, name := v.r.PathValue("namespace"), v.r.PathValue("name")
	query := v.pick("cursor")
	first := query.Get("cursor") == ""
	query.Set("limit", buildLimit)
	detail, err := ask[rest.BuildDetail](v, query, "namespaces", namespace, "builds", name)
	if err != nil {
		return ui.Page{}, err
	}
	live := ""
	if first {
		live = v.live("namespaces", namespace, "builds", name)
	}
	offers := v.offered(slices.Concat(offer.Build(namespace, detail.Build), offer.Decided(namespace, detail.Build, detail.Decisions), offer.Runs(namespace, detail.Runs)))
	return ui.Page{
		Title: "Build " + name, Section: "Applications", Live: live,
		Body: func(f ui.Frame) templ.Component { return ui.BuildPage(f, namespace, detail, first, offers) },
	}, nil
}

// builds is the list of the builds of a namespace.
func builds(v *visit) (ui.Page, error) {
	namespace, query := v.r.PathValue("namespace"), v.pick("application", "pipeline", "phase", "cursor")
	list, err := ask[rest.BuildList](v, query, "namespaces", namespace, "builds")
	if err != nil {
		return ui.Page{}, err
	}
	filter := ui.BuildsFilter{
		Namespace: namespace, Application: query.Get("application"), Pipeline: query.Get("pipeline"), Phase: query.Get("phase"), Cursor: query.Get("cursor"),
	}
	return ui.Page{
		Title: "Builds", Section: "Applications",
		Body: func(f ui.Frame) templ.Component { return ui.Builds(f, filter, list) },
	}, nil
}

// runs is the list of the runs of one CdPipeline.
func runs(v *visit) (ui.Page, error) {
	namespace, name, query := v.r.PathValue("namespace"), v.r.PathValue("name"), v.pick("cursor")
	list, err := ask[rest.RunList](v, query, "namespaces", namespace, "pipelines", name, "runs")
	if err != nil {
		return ui.Page{}, err
	}
	view := ui.RunsView{Namespace: namespace, Name: name, List: list, First: query.Get("cursor") == ""}
	hold, holding := v.hold(namespace, name)
	view.Hold, view.Offers = hold, append(v.offered(slices.Concat(offer.Pipeline(namespace, name), offer.Runs(namespace, list.Items))), holding...)
	return ui.Page{
		Title: name, Section: "Applications",
		Body: func(f ui.Frame) templ.Component {
			return ui.Runs(f, view)
		},
	}, nil
}
