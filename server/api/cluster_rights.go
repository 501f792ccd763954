package api

import (
	"context"
	"slices"

	"github.com/penstock-cd/penstock/server/rights"
)

// maxClusterReviews bounds the reviews of one request about single clusters and namespaces.
const maxClusterReviews = 500

// resourcesOf is the right to read resources in a namespace of a cluster; empty means all.
func resourcesOf(verb, cluster, namespace string) rights.Need {
	return rights.Need{Verb: verb, Resource: "targetclusters", Subresource: "resources", Name: cluster, Namespace: namespace}
}

// sight is what a user may list.
type sight struct {
	gate gate
	// of is namespaces by cluster. A cluster without any is absent, and a list with an empty
	// namespace means all of them.
	of map[string][]string
	// isEmpty is true where the user may list nothing, whichever clusters there are.
	isEmpty bool
}

// sightOf reviews what the user may list in clusters. Where they ask for namespaces, these
// alone are looked at; else it is all of them, or those of Penstock's own cluster that
// have a pipeline. Above maxClusterReviews, rights in single clusters are not looked for.
func (g gate) sightOf(ctx context.Context, clusters, asked []string) (sight, error) {
	seen := sight{gate: g, of: map[string][]string{}}
	everywhere, err := g.Rights.Among(ctx, g.user, resourcesOf("list", "", ""))
	if err != nil {
		return seen, err
	}
	if everywhere[0] {
		for _, cluster := range clusters {
			seen.of[cluster] = wholeOr(asked)
		}
		return seen, nil
	}
	namespaces := asked
	if len(asked) == 0 {
		known := g.Namespaces.Names()
		namespaces = append([]string{""}, known[:min(len(known), maxClusterReviews)]...)
	}
	err = seen.look(ctx, clusters, namespaces)
	return seen, err
}

// look reviews namespaces, first in all clusters, and then in single ones.
func (s *sight) look(ctx context.Context, clusters, namespaces []string) error {
	needs := make([]rights.Need, len(namespaces))
	for i, namespace := range namespaces {
		needs[i] = resourcesOf("list", "", namespace)
	}
	inAll, err := s.gate.Rights.Among(ctx, s.gate.user, needs...)
	if err != nil {
		return err
	}
	s.isEmpty = !slices.Contains(inAll, true)
	var single []rights.Need
	for i, namespace := range namespaces {
		for _, cluster := range clusters {
			switch {
			case inAll[i]:
				s.of[cluster] = append(s.of[cluster], namespace)
			case len(single) < maxClusterReviews:
				single = append(single, resourcesOf("list", cluster, namespace))
			}
		}
	}
	allowed, err := s.gate.Rights.Among(ctx, s.gate.user, single...)
	if err != nil {
		return err
	}
	for i, need := range single {
		if allowed[i] {
			s.of[need.Name], s.isEmpty = append(s.of[need.Name], need.Namespace), false
		}
	}
	return nil
}

// wholeOr is the namespaces that were asked for, or all.
func wholeOr(asked []string) []string {
	if len(asked) == 0 {
		return []string{""}
	}
	return asked
}

// require returns a *rights.RefusedError where nothing is seen, or where a cluster that the
// user has named is not, or a namespace there that they have asked for.
func (s sight) require(clusters, asked []string) error {
	for _, cluster := range clusters {
		if len(s.of[cluster]) == 0 {
			return s.refused(cluster, wholeOr(asked)[0])
		}
		for _, namespace := range asked {
			if !slices.Contains(s.of[cluster], namespace) {
				return s.refused(cluster, namespace)
			}
		}
	}
	if s.isEmpty {
		return s.refused("", wholeOr(asked)[0])
	}
	return nil
}

func (s sight) refused(cluster, namespace string) error {
	return &rights.RefusedError{User: s.gate.user, Need: resourcesOf("list", cluster, namespace)}
}

// namespaces are those of a cluster that are shown, as a query names them: none means all.
func (s sight) namespaces(cluster string) []string {
	if slices.Contains(s.of[cluster], "") {
		return nil
	}
	return s.of[cluster]
}
