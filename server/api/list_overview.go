package api

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/view"
)

// ListOverviewInput selects a page of the applications of many namespaces.
type ListOverviewInput struct {
	Paging

	Namespaces  []string `query:"namespace" maxItems:"50" doc:"Only these namespaces, separated by commas. Without it: all in which the caller has the rights."`
	Search      string   `query:"search" maxLength:"253" doc:"Only applications with this text in NAMESPACE/NAME, in any case."`
	Environment string   `query:"environment" maxLength:"253" doc:"Only applications with a CdPipeline of this environment."`
	State       string   `query:"state" enum:"Failing,Waiting,Active,OK,New" doc:"Only applications in this state."`

	scope view.Scope
}

// overviewResources are those that the list shows something of.
var overviewResources = []string{"cdpipelines", "cipipelines", "cibuilds", "runs"}

// allow leaves the namespaces in which the user may list all four.
func (in *ListOverviewInput) allow(ctx context.Context, gate gate) (err error) {
	in.scope.All = true
	for _, resource := range overviewResources {
		scope, err := gate.scope(ctx, "list", resource, in.Namespaces)
		if err != nil {
			return err
		}
		in.scope = in.scope.And(scope)
	}
	return nil
}

func listOverview(api huma.API, b *Backend) {
	get(api, b, names{
		id: "list-overview", path: "/api/v1/applications", summary: "List the applications of all namespaces",
		description: "The applications of many namespaces, those that fail first, each with its state and its newest build, and how many there are in each state. " +
			"Needs `list` on `cipipelines`, `cdpipelines`, `cibuilds` and `runs` in all namespaces, or in those that are shown.",
	}, func(ctx context.Context, b *Backend, in *ListOverviewInput) (*rest.Overview, error) {
		query := []string{"overview", strings.Join(in.Namespaces, ","), in.Search, in.Environment, in.State}
		filter := view.OverviewFilter{Scope: in.scope, Search: in.Search, Environment: in.Environment, State: in.State, Limit: in.Limit + 1}
		if err := decodeCursor(in.Cursor, &filter.After, query...); err != nil {
			return nil, err
		}
		overview, err := b.View.Overview(ctx, filter)
		if err != nil {
			return nil, err
		}
		if len(overview.Items) > in.Limit {
			overview.Items = overview.Items[:in.Limit]
			last := overview.Items[in.Limit-1]
			overview.Next = encodeCursor(view.OverviewPlace{State: last.State, Namespace: last.Namespace, Name: last.Name}, query...)
		}
		return &overview, nil
	})
}
