package view

import (
	"context"
	"fmt"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// applicationStates are the states of applications in the order of the list. The database
// counts them from 1.
var applicationStates = []string{"", "Failing", "Waiting", "Active", "OK", "New"}

// OverviewFilter selects applications. The zero value of a field other than Scope selects all.
type OverviewFilter struct {
	Scope Scope
	// Search is a part of namespace/name, in any case.
	Search      string
	Environment string
	State       string
	// After is the application behind which the page begins.
	After OverviewPlace
	Limit int
}

// OverviewPlace is where an application stands in the list. The zero value is before the first.
type OverviewPlace struct {
	State, Namespace, Name string
}

// Overview returns a page of applications, those that need attention first, and how many there
// are in each state.
func (v *View) Overview(ctx context.Context, filter OverviewFilter) (rest.Overview, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	rows, err := v.queries.ViewOverview(ctx, dbsqlc.ViewOverviewParams{
		AllNamespaces: filter.Scope.All, Namespaces: filter.Scope.names(), Search: filter.Search, Environment: filter.Environment,
		Rank: rankOf(filter.State), AfterRank: rankOf(filter.After.State), AfterNamespace: filter.After.Namespace, AfterApplication: filter.After.Name,
		Most: most(filter.Limit),
	})
	if err != nil {
		return rest.Overview{}, fmt.Errorf("list applications: %w", err)
	}
	overview := rest.Overview{Items: []rest.ApplicationItem{}}
	uids := []string{}
	for _, row := range rows {
		overview.Counts = rest.OverviewCounts{Failing: row.AllFailing, Waiting: row.AllWaiting, Active: row.AllActive, OK: row.AllOk, New: row.AllNew}
		if row.BuildUid != "" {
			uids = append(uids, row.BuildUid)
		}
	}
	builds, err := v.builds(ctx, uids)
	if err != nil {
		return rest.Overview{}, err
	}
	byUID := make(map[string]*rest.Build, len(builds))
	for i := range builds {
		byUID[builds[i].UID] = &builds[i].Build
	}
	for _, row := range rows {
		if row.Rank > 0 { // else it has figures alone
			overview.Items = append(overview.Items, applicationItem(row, byUID[row.BuildUid]))
		}
	}
	return overview, nil
}

func applicationItem(row dbsqlc.ViewOverviewRow, build *rest.Build) rest.ApplicationItem {
	return rest.ApplicationItem{
		Namespace: row.Namespace, Name: row.Application, State: applicationStates[row.Rank], CiPipelines: row.CiPipelines, CdPipelines: row.CdPipelines,
		Runs:         rest.ApplicationRuns{Failed: row.Failed, Waiting: row.Waiting, Active: row.Active, Succeeded: row.Succeeded},
		Environments: row.Environments, LastBuild: build,
	}
}

func rankOf(state string) int32 {
	for rank, one := range applicationStates {
		if one == state {
			return int32(rank)
		}
	}
	return 0
}
