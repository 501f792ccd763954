package batchget

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/penstock-cd/penstock/pkg/fleet"
)

// identity is one object, whoever refers to it.
type identity struct {
	target    fleet.Target
	kind      fleet.Kind
	namespace string
	name      string
}

// call is one call of Get.
type call struct {
	references []Reference
	order      []identity // those to read, each once

	mu      sync.Mutex
	settled map[identity]Answer
}

// newCall answers at once what needs no request.
func newCall(references []Reference) *call {
	c := &call{references: references, settled: map[identity]Answer{}}
	seen := map[identity]bool{}
	for _, reference := range references {
		of := identityOf(reference)
		if seen[of] {
			continue
		}
		seen[of] = true
		if problem := refuse(reference); problem != nil {
			c.settled[of] = Answer{Err: problem}
			continue
		}
		c.order = append(c.order, of)
	}
	return c
}

func identityOf(reference Reference) identity {
	return identity{reference.Target, reference.Kind, reference.Namespace, reference.Name}
}

// refuse returns why a reference is not asked for.
func refuse(reference Reference) *Error {
	if why := reference.Target.Unavailable; why != nil {
		return &Error{Reason: string(why.Reason), Message: "cluster " + reference.Target.Name + ": " + why.Message}
	}
	// They become parts of a path.
	for field, value := range map[string]string{"name": reference.Name, "namespace": reference.Namespace} {
		if problems := content.IsPathSegmentName(value); len(problems) > 0 {
			return &Error{Reason: Invalid, Message: fmt.Sprintf("the %s %q %s: correct the reference", field, value, problems[0])}
		}
	}
	if reference.Name == "" {
		return &Error{Reason: Invalid, Message: "the name is empty: name one object"}
	}
	return nil
}

// request is what a cluster is asked for: one object, or, where names is set, those of a
// list that have one of these names, separated by slashes.
type request struct {
	cluster         string
	kind            fleet.Kind
	namespace, name string
	names           string
	limit           int
}

// requests are those of a call by cluster: lists where many are in one namespace.
func (c *call) requests(coalesceFrom int, large *largeLists) map[fleet.Target][]request {
	groups := map[identity][]string{} // the names, by what they have in common
	var order []identity
	for _, of := range c.order {
		common := identity{of.target, of.kind, of.namespace, ""}
		if len(groups[common]) == 0 {
			order = append(order, common)
		}
		groups[common] = append(groups[common], of.name)
	}
	requests := map[fleet.Target][]request{}
	for _, common := range order {
		names := groups[common]
		one := request{cluster: common.target.Name, kind: common.kind, namespace: common.namespace}
		if coalesceFrom > 0 && len(names) >= coalesceFrom && !large.has(common, len(names)) {
			slices.Sort(names)
			one.names, one.limit = strings.Join(names, "/"), len(names)*listedPerName
			requests[common.target] = append(requests[common.target], one)
			continue
		}
		for _, name := range names {
			one.name = name
			requests[common.target] = append(requests[common.target], one)
		}
	}
	for _, list := range requests {
		// Lists first: they take longer.
		slices.SortStableFunc(list, func(a, b request) int { return cmp.Compare(b.limit, a.limit) })
	}
	return requests
}

// unanswered are requests by name for what has no answer after a list that failed, or that
// is longer than was read.
func (c *call) unanswered() map[fleet.Target][]request {
	c.mu.Lock()
	defer c.mu.Unlock()
	requests := map[fleet.Target][]request{}
	for _, of := range c.order {
		if _, ok := c.settled[of]; !ok {
			requests[of.target] = append(requests[of.target], request{
				cluster: of.target.Name, kind: of.kind, namespace: of.namespace, name: of.name,
			})
		}
	}
	return requests
}

// settle takes the outcome of a request.
func (c *call) settle(target fleet.Target, one request, got objects, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{one.name}
	if one.names != "" {
		if err != nil {
			return // each is asked for by its name
		}
		names = strings.Split(one.names, "/")
	}
	for _, name := range names {
		of := identity{target, one.kind, one.namespace, name}
		object, ok := got.byName[name]
		switch {
		case err != nil:
			c.settled[of] = Answer{Err: errorOf(target.Name, err)}
		case ok:
			c.settled[of] = Answer{Object: object}
		case got.isWhole:
			c.settled[of] = Answer{Err: &Error{Reason: NotFound, Message: fmt.Sprintf(
				"%s %s does not exist in cluster %s: check the name and the namespace", one.kind, inNamespace(one.namespace, name), target.Name)}}
		}
	}
}

func inNamespace(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// answers are those of all references, in their order.
func (c *call) answers(maxBytes int) []Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers := make([]Answer, len(c.references))
	for i, reference := range c.references {
		answer, ok := c.settled[identityOf(reference)]
		if !ok {
			answer.Err = &Error{Reason: string(fleet.Timeout), Message: "cluster " + reference.Target.Name +
				" did not answer in time: ask again, or look at the TargetCluster's status"}
		}
		if maxBytes -= len(answer.Object); maxBytes < 0 {
			answer = Answer{Err: &Error{Reason: TooLarge, Message: "the objects before it are as much as fits into one answer: ask for it in another call"}}
		}
		answers[i] = answer
	}
	return answers
}
