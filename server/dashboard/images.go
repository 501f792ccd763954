package dashboard

import (
	"github.com/a-h/templ"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// images is the newest wave of each base image, or all of them.
func images(v *visit) (ui.Page, error) {
	query := v.pick("state", "namespace", "baseImage", "history", "cursor")
	list, err := ask[rest.WaveList](v, query, "waves")
	if err != nil {
		return ui.Page{}, err
	}
	filter := ui.WavesFilter{
		State: query.Get("state"), Namespace: query.Get("namespace"), BaseImage: query.Get("baseImage"), History: query.Get("history"), Cursor: query.Get("cursor"),
	}
	return ui.Page{
		Title: "Images", Section: "Images",
		Body: func(f ui.Frame) templ.Component { return ui.Waves(f, filter, list) },
	}, nil
}

// wave is one wave of rebuilds and its builds.
func wave(v *visit) (ui.Page, error) {
	query := v.pick("state", "cursor")
	detail, err := ask[rest.WaveDetail](v, query, "namespaces", v.r.PathValue("namespace"), "baseimages", v.r.PathValue("name"), "waves", v.r.PathValue("number"))
	if err != nil {
		return ui.Page{}, err
	}
	offers := v.offered(offer.Wave(detail.Wave))
	return ui.Page{
		Title: detail.Wave.BaseImage, Section: "Images",
		Body: func(f ui.Frame) templ.Component {
			return ui.Wave(f, detail, query.Get("state"), query.Get("cursor") == "", offers)
		},
	}, nil
}
