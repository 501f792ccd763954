package api

import (
	"context"

	"github.com/penstock-cd/penstock/pkg/explain"
	"github.com/penstock-cd/penstock/server/rights"
)

// hideHolders has controllers name those Workflows alone that hold the backlog gate in the
// namespace asked about, or in others whose runs the user may list. The gate is one for all
// namespaces.
func (g gate) hideHolders(ctx context.Context, namespace string, all ...*explain.Controller) error {
	sees := map[string]bool{namespace: true}
	var needs []rights.Need
	for _, by := range all {
		if by == nil {
			continue
		}
		for _, holder := range by.Holders {
			other, isNamed := explain.NamespaceOfHolder(holder)
			if _, known := sees[other]; isNamed && !known {
				sees[other] = false
				needs = append(needs, rights.Need{Verb: "list", Resource: "runs", Namespace: other})
			}
		}
	}
	allowed, err := g.Rights.Among(ctx, g.user, needs...)
	if err != nil {
		return err
	}
	for i, need := range needs {
		sees[need.Namespace] = allowed[i]
	}
	for _, by := range all {
		if by != nil {
			by.Holders = explain.SeenHolders(by.Holders, func(namespace string) bool { return sees[namespace] })
		}
	}
	return nil
}

// hideHoldersOf does so for the controllers of some pipelines.
func (g gate) hideHoldersOf(ctx context.Context, namespace string, pipelines []explain.Facts) error {
	all := make([]*explain.Controller, len(pipelines))
	for i := range pipelines {
		all[i] = pipelines[i].Controller
	}
	return g.hideHolders(ctx, namespace, all...)
}
