package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is one kind of resource that may be shown, such as deployments.apps.
type Kind struct {
	// Group is empty for the core group.
	Group string
	// Resource is the plural name, in lower case.
	Resource string
}

// String is the resource and its group, as kubectl takes it.
func (k Kind) String() string {
	if k.Group == "" {
		return k.Resource
	}
	return k.Resource + "." + k.Group
}

// Singular is the singular name and the group, as kubectl writes them before a name. It is
// right for Kubernetes' own kinds.
func (k Kind) Singular() string { return Kind{Group: k.Group, Resource: singular(k.Resource)}.String() }

// ParseKind reads a kind as RESOURCE_KINDS names it. Secrets are refused, and so is what
// is no kind of its own, such as pods/log.
func ParseKind(text string) (Kind, error) {
	resource, group, _ := strings.Cut(text, ".")
	kind := Kind{Group: group, Resource: resource}
	if !isName(resource, false) || group != "" && !isName(group, true) {
		return Kind{}, fmt.Errorf("%q is not a kind: write the plural name and the group, such as pods or deployments.apps", text)
	}
	if kind.Group == "" && resource == "secrets" {
		return Kind{}, fmt.Errorf("%q are never shown", text)
	}
	return kind, nil
}

func isName(text string, dots bool) bool {
	for _, letter := range text {
		isLetter := letter >= 'a' && letter <= 'z' || letter >= '0' && letter <= '9' || letter == '-'
		if !isLetter && (!dots || letter != '.') {
			return false
		}
	}
	return text != "" && len(text) <= 253 && !strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".")
}

// AllowList is the kinds that may be shown.
type AllowList []Kind

// ParseKinds reads an allow-list. A kind that is named twice counts once.
func ParseKinds(texts []string) (AllowList, error) {
	var list AllowList
	for _, text := range texts {
		kind, err := ParseKind(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(list, kind) {
			list = append(list, kind)
		}
	}
	return list, nil
}

// shortNames are those of kubectl, of kinds that every API server has.
var shortNames = map[string]string{
	"po": "pods", "svc": "services", "no": "nodes", "ns": "namespaces", "ev": "events", "cm": "configmaps", "sa": "serviceaccounts",
	"pvc": "persistentvolumeclaims", "pv": "persistentvolumes", "ep": "endpoints", "rc": "replicationcontrollers", "quota": "resourcequotas",
	"deploy": "deployments", "rs": "replicasets", "sts": "statefulsets", "ds": "daemonsets", "cj": "cronjobs", "ing": "ingresses",
	"netpol": "networkpolicies", "hpa": "horizontalpodautoscalers", "pdb": "poddisruptionbudgets", "sc": "storageclasses",
	"wf": "workflows", "wftmpl": "workflowtemplates", "cwf": "cronworkflows",
}

// Find returns the kind of the list that a user means by a name: the plural or singular
// one, a short name, or the plural one with its group.
func (l AllowList) Find(name string) (Kind, error) {
	name = strings.ToLower(name)
	if long, ok := shortNames[name]; ok {
		name = long
	}
	var found []Kind
	for _, kind := range l {
		switch name {
		case kind.String():
			return kind, nil
		case kind.Resource, singular(kind.Resource):
			found = append(found, kind)
		}
	}
	switch len(found) {
	case 0:
		return Kind{}, fmt.Errorf("the kind %q is not shown: the kinds of RESOURCE_KINDS are %s", name, l)
	case 1:
		return found[0], nil
	}
	return Kind{}, fmt.Errorf("the kind %q is in several groups: write one of %s", name, AllowList(found))
}

// String names the kinds, separated by commas.
func (l AllowList) String() string {
	names := make([]string, len(l))
	for i, kind := range l {
		names[i] = kind.String()
	}
	return strings.Join(names, ", ")
}

// singular is right for Kubernetes' own kinds.
func singular(plural string) string {
	switch {
	case strings.HasSuffix(plural, "ies"):
		return strings.TrimSuffix(plural, "ies") + "y"
	case strings.HasSuffix(plural, "sses"), strings.HasSuffix(plural, "xes"):
		return strings.TrimSuffix(plural, "es")
	}
	return strings.TrimSuffix(plural, "s")
}
