package main

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func buildsCommand(o *options) *cobra.Command {
	var application, pipeline string
	var limit int
	command := &cobra.Command{
		Use: "builds [BUILD]", Short: "List builds, or show what came of one, pipeline by pipeline, and why",
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(command *cobra.Command, args []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			if len(args) == 1 {
				return o.build(command, connected, args[0])
			}
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if application != "" {
				query.Set("application", application)
			}
			if pipeline != "" {
				query.Set("pipeline", pipeline)
			}
			return o.builds(command, connected, query)
		},
	}
	command.Flags().StringVar(&application, "application", "", "only builds of this application")
	command.Flags().StringVar(&pipeline, "pipeline", "", "only builds of this CiPipeline")
	command.Flags().IntVar(&limit, "limit", 50, "most builds, the newest first; up to 500")
	return completing(command, o, "CiBuild", map[string]string{"pipeline": "CiPipeline"})
}

func (o *options) builds(command *cobra.Command, connected *connection, query url.Values) error {
	var list rest.BuildList
	if err := connected.get(command.Context(), path("namespaces", connected.namespace, "builds"), query, &list); err != nil {
		return err
	}
	t := table{
		head: []string{"BUILD", "PIPELINE", "PHASE", "RUNS", "FAILED", "AGE", "REVISION", "CAUSE", "IMAGE"}, wide: 6,
		empty: "No builds in namespace " + connected.namespace + ".",
	}
	now := time.Now()
	for _, build := range list.Items {
		image := ""
		if len(build.Artifacts) > 0 {
			image = build.Artifacts[0].Image
		}
		t.rows = append(t.rows, []string{
			build.Name, build.Pipeline, build.Phase, fmt.Sprintf("%d/%d", build.Runs.Total-build.Runs.Active, build.Runs.Total),
			strconv.FormatInt(build.Runs.Failed, 10), age(build.CreatedAt, now), build.Revision, build.Cause, image,
		})
		t.names = append(t.names, "cibuild/"+build.Name)
	}
	if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), list, t); err != nil {
		return err
	}
	if list.Next != "" {
		fmt.Fprintln(command.ErrOrStderr(), "There are older builds: see --limit.")
	}
	return nil
}

// build prints what was decided for each pipeline and, where it runs, how far it is.
func (o *options) build(command *cobra.Command, connected *connection, name string) error {
	detail := rest.BuildDetail{}
	for query := (url.Values{"limit": {"500"}}); ; {
		var page rest.BuildDetail
		if err := connected.get(command.Context(), path("namespaces", connected.namespace, "builds", name), query, &page); err != nil {
			return err
		}
		detail.Build = page.Build
		detail.Decisions, detail.Runs, detail.Events = append(detail.Decisions, page.Decisions...), append(detail.Runs, page.Runs...), append(detail.Events, page.Events...)
		if page.Next == "" {
			break
		}
		query.Set("cursor", page.Next)
	}
	return o.print(command.OutOrStdout(), command.ErrOrStderr(), detail, buildTable(detail, time.Now()))
}

func buildTable(detail rest.BuildDetail, now time.Time) table {
	t := table{
		head: []string{"PIPELINE", "DECISION", "RUN", "STATE", "CHANGED", "IMAGE", "MESSAGE"}, wide: 5,
		empty: "Build " + detail.Build.Name + " (" + printable(detail.Build.Phase) + ") has no decisions yet.",
	}
	runs := map[string]rest.Run{}
	for _, run := range detail.Runs {
		runs[run.Pipeline+"\n"+run.Image] = run // the last of several
	}
	for _, decision := range detail.Decisions {
		row := []string{decision.Pipeline, reasoned(decision.Outcome, decision.Reason), "", "", age(&decision.At, now), decision.Image, decision.Message}
		if decision.Outcome == decision.Reason {
			row[1] = decision.Outcome
		}
		if run, ok := runs[decision.Pipeline+"\n"+decision.Image]; ok {
			stage := reached(run)
			row[2], row[3], row[4] = strconv.FormatInt(run.ID, 10), stage.Stage+" "+reasoned(stage.State, stage.Reason), age(changed(stage, run), now)
			if stage.Message != "" {
				row[6] = stage.Message
			}
		}
		t.rows, t.names = append(t.rows, row), append(t.names, "cdpipeline/"+decision.Pipeline)
	}
	return t
}

// reached is the stage that a run is at: the last that did not wait for the one before.
func reached(run rest.Run) rest.Stage {
	at := rest.Stage{}
	for _, stage := range run.Stages {
		if stage.Reason != "StageBefore" && stage.Reason != "StageBeforeFailed" {
			at = stage
		}
	}
	return at
}

// changed is when a stage came into its state.
func changed(stage rest.Stage, run rest.Run) *time.Time {
	for _, at := range []*time.Time{stage.FinishedAt, stage.StartedAt, stage.SubmittedAt, stage.QueuedAt} {
		if at != nil {
			return at
		}
	}
	return &run.CreatedAt
}
