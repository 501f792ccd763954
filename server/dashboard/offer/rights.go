package offer

import "github.com/penstock-cd/penstock/server/rights"

// Needs are the rights that an action needs, as the API and the admission policies ask for them.
func Needs(action Name, about Subject) []rights.Need {
	switch action {
	case Resume, Retry, Cancel:
		return []rights.Need{asks(about), {Verb: string(action), Resource: "cdpipelines", Namespace: about.Namespace, Name: about.Pipeline}}
	}
	return nil
}

// asks is the right to create RunRequests.
func asks(about Subject) rights.Need {
	return rights.Need{Verb: "create", Resource: "runrequests", Namespace: about.Namespace}
}
