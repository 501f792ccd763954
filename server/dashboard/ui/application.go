package ui

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-cd/penstock/api/rest"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/server/dashboard/offer"
)

// ApplicationView is what the page of an application shows.
type ApplicationView struct {
	Status rest.ApplicationStatus
	Builds rest.BuildList
	// BuildsError is why there are no builds; empty where they are there.
	BuildsError string
	// Offers are what the user may ask for.
	Offers offer.Offers
}

// noEnvironment is what pipelines without an environment are listed under.
const noEnvironment = "no environment"

// deployedAt is one artifact of one pipeline.
type deployedAt struct {
	pipeline string
	rest.Deployment
}

// tag is that of the image; empty where it has none.
func (d deployedAt) tag() string {
	tagged, _, _ := strings.Cut(d.Image, "@")
	return strings.TrimPrefix(strings.TrimPrefix(tagged, trigger.Repository(tagged)), ":")
}

// deployments are a table: a row for each environment, a column for each repository, whatever tag
// is deployed where.
type deployments struct {
	repositories, environments []string
	cells                      map[string]map[string][]deployedAt // by environment and repository
}

func deployed(pipelines []rest.CdPipelineStatus) deployments {
	table := deployments{cells: map[string]map[string][]deployedAt{}}
	for _, pipeline := range pipelines {
		environment := cmp.Or(pipeline.Environment, noEnvironment)
		for _, one := range pipeline.Deployed {
			if table.cells[environment] == nil {
				table.cells[environment] = map[string][]deployedAt{}
				table.environments = append(table.environments, environment)
			}
			repository := trigger.Repository(one.Image)
			table.cells[environment][repository] = append(table.cells[environment][repository], deployedAt{pipeline.Name, one})
			table.repositories = append(table.repositories, repository)
		}
	}
	slices.Sort(table.environments)
	slices.Sort(table.repositories)
	table.repositories = slices.Compact(table.repositories)
	return table
}

// mostWaiting is how many pipelines that wait are shown at once; further ones are folded away.
const mostWaiting = 10

// waiting are the pipelines of whom people ask why: first those with a run that waits, one for
// each such run, then those in which the newest build did not come to a run.
func waiting(pipelines []rest.CdPipelineStatus) (some []rest.CdPipelineStatus) {
	var against []rest.CdPipelineStatus
	for _, one := range pipelines {
		if decidedAgainst(one) {
			against = append(against, one)
		}
		for _, run := range one.Waiting {
			waits := one
			waits.LastRun, waits.LastDecision = &run, nil
			some = append(some, waits)
		}
	}
	return append(some, against...)
}

// waitsKey is that of a row about a run that waits, or about a pipeline without one.
func waitsKey(one rest.CdPipelineStatus) string {
	if decidedAgainst(one) {
		return "waits/" + one.Name
	}
	return "waits/" + one.Name + "/" + strconv.FormatInt(one.LastRun.ID, 10)
}

// decidedAgainst tells whether the newest decision is about a build that has no run here.
func decidedAgainst(one rest.CdPipelineStatus) bool {
	decision := one.LastDecision
	return decision != nil && decision.Outcome != "Triggered" && (one.LastRun == nil || one.LastRun.Build != decision.Build)
}
