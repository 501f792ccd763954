package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
)

// ListWavesInput selects a page of waves.
type ListWavesInput struct {
	Paging

	Namespaces []string `query:"namespace" maxItems:"50" doc:"Only BaseImages of these namespaces, separated by commas. Without it: all in which the caller has the right."`
	BaseImage  string   `query:"baseImage" maxLength:"253" doc:"Only waves of BaseImages of this name."`
	State      string   `query:"state" enum:"Running,Stopped,Succeeded,Failed,Cancelled" doc:"Only waves in this state."`
	History    bool     `query:"history" doc:"Older waves as well, and not only the newest of each BaseImage."`

	scope view.Scope
}

func (in *ListWavesInput) allow(ctx context.Context, gate gate) (err error) {
	in.scope, err = gate.scope(ctx, "list", "baseimages", in.Namespaces)
	return err
}

func listWaves(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-waves", path: "/api/v1/waves", summary: "List waves of rebuilds",
		description: "The newest wave of each BaseImage that has had one, or with ?history=true all, by the name of the BaseImage and the newest first. " +
			"Needs `list` on `baseimages` in all namespaces, or in those that are shown.",
	}, func(ctx context.Context, b *Backend, in *ListWavesInput) (*rest.WaveList, error) {
		query := []string{"waves", strings.Join(in.Namespaces, ","), in.BaseImage, in.State, strconv.FormatBool(in.History)}
		filter := view.WaveFilter{Scope: in.scope, BaseImage: in.BaseImage, State: in.State, History: in.History, Limit: in.Limit + 1}
		if err := decodeCursor(in.Cursor, &filter.Behind, query...); err != nil {
			return nil, err
		}
		waves, err := b.View.Waves(ctx, filter)
		if err != nil {
			return nil, err
		}
		list := &rest.WaveList{Items: waves}
		if len(waves) > in.Limit {
			list.Items = waves[:in.Limit]
			last := waves[in.Limit-1]
			list.Next = encodeCursor(view.WavePlace{Namespace: last.Namespace, Name: last.BaseImage, Number: last.Number}, query...)
		}
		return list, nil
	})
}
