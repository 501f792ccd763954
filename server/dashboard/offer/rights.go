package offer

import "github.com/penstock-cd/penstock/server/rights"

// Needs are the rights that an action needs, as the API and the admission policies ask for them.
func Needs(action Name, about Subject) []rights.Need {
	pipeline := func(verb string) rights.Need {
		return rights.Need{Verb: verb, Resource: "cdpipelines", Namespace: about.Namespace, Name: about.Pipeline}
	}
	build := func(verb string) rights.Need {
		return rights.Need{Verb: verb, Resource: "cibuilds", Namespace: about.Namespace, Name: about.Build}
	}
	image := func(verb string) rights.Need {
		return rights.Need{Verb: verb, Resource: "baseimages", Namespace: about.Namespace, Name: about.BaseImage}
	}
	switch action {
	case Resume, Retry, Cancel, Trigger, Rollback:
		return []rights.Need{asks(about), pipeline(string(action))}
	case Hold, Release:
		return []rights.Need{pipeline("get"), pipeline("patch")}
	case RetryBuild:
		return []rights.Need{asks(about), build("retry")}
	case CancelBuild:
		return []rights.Need{asks(about), build("cancel")}
	case ResumeWave:
		return []rights.Need{asks(about), image("resume")}
	case StopWave:
		return []rights.Need{asks(about), image("cancel")}
	case Redeliver:
		return []rights.Need{{Verb: "update", Resource: "receivers", Subresource: "deliveries", Namespace: about.Namespace}}
	case Resend:
		return []rights.Need{{Verb: "update", Resource: "notifications", Namespace: about.Namespace}}
	}
	return []rights.Need{unknown}
}

// unknown is a right that nobody has: an action without rights of its own is offered to nobody.
var unknown = rights.Need{Verb: "none", Resource: "none", Namespace: "none", Name: "none"}

// asks is the right to create RunRequests.
func asks(about Subject) rights.Need {
	return rights.Need{Verb: "create", Resource: "runrequests", Namespace: about.Namespace}
}
