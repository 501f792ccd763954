package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	wfv1 "github.com/argoproj/argo-workflows/v3/pkg/apis/workflow/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/audit"
	"github.com/penstock-cd/penstock/test/env"
)

// facts is what came of the build, as the tables, the API server and its audit log
// tell it.
type facts struct {
	hooksURL         string         // where webhooks are received
	decisions        map[string]int // outcome/reason → pipelines
	rows             int            // runs
	stages           int            // rows of stages
	workflows        int            // Workflows that exist
	phases           map[string]int // Argo's phase → Workflows
	mostInFlight     int
	writesPerTrigger float64
	first, last      time.Duration   // from success to the Workflows of the 50
	answers          []time.Duration // of the API server to the creates, as they came in
	share            float64         // of the processors that others left to us meanwhile
	dispatchConns    int
	conns            int
	steered          steered
	rebuilds         rebuilds
	pushed           pushed
	seen             seen
}

func (s *stage) gather(ctx context.Context, finished time.Time) (*facts, error) {
	f := &facts{decisions: map[string]int{}, phases: map[string]int{}, share: s.share}
	if err := s.readRows(ctx, f); err != nil {
		return nil, err
	}
	if err := s.readWorkflows(ctx, f); err != nil {
		return nil, err
	}
	log, err := audit.Read(s.auditLog)
	if err != nil {
		return nil, err
	}
	f.readAudit(log.Penstock().Since(finished.Add(-time.Second)), finished)
	f.conns, f.dispatchConns, err = s.watched.stop()
	return f, err
}

func (s *stage) readRows(ctx context.Context, f *facts) error {
	rows, err := s.database.Query(ctx, `
		SELECT outcome || '/' || reason, count(*) FROM penstock.trigger_decision WHERE build_name = $1 GROUP BY 1`, buildName)
	if err != nil {
		return fmt.Errorf("read decisions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var decision string
		var count int
		if err := rows.Scan(&decision, &count); err != nil {
			return fmt.Errorf("read decisions: %w", err)
		}
		f.decisions[decision] = count
	}
	const counts = `SELECT count(DISTINCT w.id), count(r.id) FROM penstock.cd_workflow w
		JOIN penstock.cd_workflow_runner r ON r.cd_workflow_id = w.id
		JOIN penstock.ci_artifact a ON a.id = w.ci_artifact_id WHERE a.build_name = $1`
	if err := s.database.QueryRow(ctx, counts, buildName).Scan(&f.rows, &f.stages); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	return nil
}

func (s *stage) readWorkflows(ctx context.Context, f *facts) error {
	var list wfv1.WorkflowList
	err := s.cluster.List(ctx, &list, client.InNamespace(namespace), client.MatchingLabels{
		v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelBuild: buildName,
	})
	if err != nil {
		return fmt.Errorf("list workflows: %w", err)
	}
	f.workflows = len(list.Items)
	for i := range list.Items {
		f.phases[string(list.Items[i].Status.Phase)]++
	}
	return nil
}

// readAudit measures the burst: from the build's success until the Workflow of the
// last of the 50 existed.
func (f *facts) readAudit(log audit.Log, finished time.Time) {
	creates := log.Creates()
	f.mostInFlight = creates.MostAtOnce()
	if len(creates) < triggered {
		return
	}
	creates = creates[:triggered]
	f.first, f.last = creates[0].Finished.Sub(finished), creates.Last().Sub(finished)
	f.writesPerTrigger = float64(len(log.Until(creates.Last()).Writes())) / triggered
	slices.SortFunc(creates, func(a, b env.AuditEvent) int { return a.Received.Compare(b.Received) })
	for _, event := range creates {
		f.answers = append(f.answers, event.Finished.Sub(event.Received))
	}
}

func counted(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return strings.Join(parts, ", ")
}
