package api

import (
	"context"
	"errors"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
	"github.com/penstock-cd/penstock/server/rights"
)

// GetWaveInput selects a wave and a page of its items.
type GetWaveInput struct {
	InNamespace
	Paging

	Name   string `path:"name" maxLength:"253" doc:"Name of the BaseImage."`
	Number int64  `path:"number" minimum:"0" doc:"Number of the wave; 0 for the newest."`
	State  string `query:"state" enum:"Deferred,Pending,Building,Succeeded,Failed,Skipped" doc:"Only items in this state."`

	scope view.Scope
}

// allow shows the items of the namespaces in which the caller may list builds: those of other
// namespaces can be built on the image as well.
func (in *GetWaveInput) allow(ctx context.Context, gate gate) error {
	err := gate.require(ctx, rights.Need{Verb: "get", Resource: "baseimages", Subresource: "waves", Namespace: in.Namespace, Name: in.Name})
	if err != nil {
		return err
	}
	for _, asked := range [][]string{nil, {in.Namespace}} { // all, which can be too many to review, or that of the image
		in.scope, err = gate.scope(ctx, "list", "cibuilds", asked)
		var refused *rights.RefusedError
		if !errors.As(err, &refused) {
			return err
		}
	}
	in.scope = view.Scope{} // every item is hidden
	return nil
}

func getWave(api huma.API, b *Backend) {
	get(api, b, names{
		id: "get-wave", path: "/api/v1/namespaces/{namespace}/baseimages/{name}/waves/{number}", summary: "Get a wave of rebuilds",
		description: "Its CiPipelines, which build each has, and where that stands. Needs `get` on `baseimages/waves`; the items of those namespaces " +
			"are shown in which the caller has `list` on `cibuilds`, and the others are counted.",
	}, func(ctx context.Context, b *Backend, in *GetWaveInput) (*rest.WaveDetail, error) {
		query := []string{"wave", in.Namespace, in.Name, strconv.FormatInt(in.Number, 10), in.State}
		filter := view.WaveItemFilter{
			Namespace: in.Namespace, BaseImage: in.Name, Number: in.Number, Scope: in.scope, State: in.State, Limit: in.Limit,
		}
		if err := decodeCursor(in.Cursor, &filter.Behind, query...); err != nil {
			return nil, err
		}
		detail, next, err := b.View.Wave(ctx, filter)
		if err != nil {
			return nil, err
		}
		if next != (view.WaveItemPlace{}) {
			detail.Next = encodeCursor(next, query...)
		}
		return &detail, nil
	})
}
