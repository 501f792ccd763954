package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-cd/penstock/api/rest"
)

func statusCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "status [APPLICATION]", Short: "Show CI and CD of an application side by side, or list the applications",
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: o.completeApplication,
		RunE: func(command *cobra.Command, args []string) error {
			connected, err := o.connect(command.Context())
			if err != nil {
				return err
			}
			defer connected.close()
			if len(args) == 0 {
				return o.applications(command, connected)
			}
			return o.status(command, connected, args[0])
		},
	}
}

func (o *options) applications(command *cobra.Command, connected *connection) error {
	list, err := allApplications(command.Context(), connected)
	if err != nil {
		return err
	}
	t := table{head: []string{"APPLICATION", "CI PIPELINES", "CD PIPELINES"}, wide: 3, empty: "No applications in namespace " + connected.namespace + "."}
	for _, application := range list.Items {
		t.rows = append(t.rows, []string{application.Name, strconv.FormatInt(application.CiPipelines, 10), strconv.FormatInt(application.CdPipelines, 10)})
		t.names = append(t.names, "application/"+application.Name)
	}
	return o.print(command.OutOrStdout(), command.ErrOrStderr(), list, t)
}

// allApplications reads every page.
func allApplications(ctx context.Context, connected *connection) (rest.ApplicationList, error) {
	list := rest.ApplicationList{Items: []rest.Application{}}
	for query := (url.Values{"limit": {"500"}}); ; {
		var page rest.ApplicationList
		if err := connected.get(ctx, path("namespaces", connected.namespace, "applications"), query, &page); err != nil {
			return list, err
		}
		list.Items = append(list.Items, page.Items...)
		if page.Next == "" {
			return list, nil
		}
		query.Set("cursor", page.Next)
	}
}

func (o *options) status(command *cobra.Command, connected *connection, application string) error {
	var status rest.ApplicationStatus
	err := connected.get(command.Context(), path("namespaces", connected.namespace, "applications", application, "status"), nil, &status)
	if isNotFound(err) {
		return o.suggest(command.Context(), connected, application, err)
	}
	if err != nil {
		return err
	}
	if err := o.print(command.OutOrStdout(), command.ErrOrStderr(), status, statusTable(status, time.Now())); err != nil {
		return err
	}
	var missing []error
	for name, half := range map[string]*rest.Failure{"CI": status.CI.Error, "CD": status.CD.Error} {
		if half != nil {
			missing = append(missing, fmt.Errorf("the %s half is missing: %s", name, half.Detail))
		}
	}
	if len(missing) > 0 {
		return &exitError{code: exitPartial, err: errors.Join(missing...)}
	}
	return nil
}

// suggest adds the nearest name to an error.
func (o *options) suggest(ctx context.Context, connected *connection, typed string, notFound error) error {
	list, err := allApplications(ctx, connected)
	if err != nil {
		return notFound
	}
	names := make([]string, len(list.Items))
	for i, application := range list.Items {
		names[i] = application.Name
	}
	if near := nearest(typed, names); near != "" {
		return fmt.Errorf("%w: did you mean %q?", notFound, near)
	}
	return notFound
}

func statusTable(status rest.ApplicationStatus, now time.Time) table {
	t := table{
		head: []string{"KIND", "PIPELINE", "ENVIRONMENT", "BUILD", "STATE", "DEPLOYED", "CHANGED", "IMAGE", "MESSAGE"}, wide: 7,
		empty: "No pipelines of application " + status.Application + ".",
	}
	var clusters []string // of the rows
	for _, pipeline := range status.CI.Pipelines {
		row := []string{"CI", pipeline.Name, "", "", suspended(pipeline.Suspended, ""), "", "", "", ""}
		if build := pipeline.LastBuild; build != nil {
			row[3], row[4], row[6] = build.Name, suspended(pipeline.Suspended, build.Phase), age(build.CreatedAt, now)
			if len(build.Artifacts) > 0 {
				row[7] = build.Artifacts[0].Image
			}
		}
		t.rows, t.names = append(t.rows, row), append(t.names, "cipipeline/"+pipeline.Name)
		clusters = append(clusters, "")
	}
	for _, pipeline := range status.CD.Pipelines {
		shown := cdRow(pipeline, now)
		t.rows, t.names = append(t.rows, shown), append(t.names, "cdpipeline/"+pipeline.Name)
		clusters = append(clusters, clusterOfLast(pipeline))
		for _, run := range pipeline.Waiting {
			if isShown := pipeline.LastRun != nil && run.ID == pipeline.LastRun.ID && shown[3] == run.Build; !isShown {
				t.rows = append(t.rows, waitingRow(pipeline, run, now)) // -o name is of pipelines alone
				clusters = append(clusters, run.Cluster)
			}
		}
	}
	return t.withClusters(3, clusters)
}

// clusterOfLast is the TargetCluster of a pipeline's newest run; empty at home.
func clusterOfLast(pipeline rest.CdPipelineStatus) string {
	if pipeline.LastRun == nil {
		return ""
	}
	return pipeline.LastRun.Cluster
}

func cdRow(pipeline rest.CdPipelineStatus, now time.Time) []string {
	row := []string{"CD", pipeline.Name, pipeline.Environment, "", suspended(pipeline.Suspended, ""), "", "", "", ""}
	if len(pipeline.Deployed) > 0 {
		row[5] = pipeline.Deployed[0].Build
	}
	switch run, decision := pipeline.LastRun, pipeline.LastDecision; {
	case decision != nil && decision.Outcome != "Triggered" && (run == nil || decision.At.After(run.CreatedAt)):
		row[3], row[4], row[6], row[8] = decision.Build, reasoned(decision.Outcome, decision.Reason), age(&decision.At, now), decision.Message
	case run != nil:
		row[3], row[4], row[6], row[7], row[8] = run.Build, run.Stage+" "+reasoned(run.State, run.Reason), age(&run.ChangedAt, now), run.Image, run.Message
	}
	return row
}

// waitingRow is a run that waits beside what the row of its pipeline tells.
func waitingRow(pipeline rest.CdPipelineStatus, run rest.LastRun, now time.Time) []string {
	return []string{"CD", pipeline.Name, pipeline.Environment, run.Build, run.Stage + " " + reasoned(run.State, run.Reason), "", age(&run.ChangedAt, now), run.Image, run.Message}
}

func suspended(is bool, state string) string {
	if is && state == "" {
		return "Suspended"
	}
	return state
}
