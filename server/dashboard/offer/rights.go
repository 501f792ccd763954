package offer

import "github.com/penstock-cd/penstock/server/rights"

// Needs are the rights that an action needs, as the API and the admission policies ask for them. The
// first is the one whose ClusterRole has the others as well.
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
		return []rights.Need{pipeline(string(action)), asks(about)}
	case Hold, Release:
		return []rights.Need{pipeline("patch"), pipeline("get")}
	case RetryBuild:
		return []rights.Need{build("retry"), asks(about)}
	case CancelBuild:
		return []rights.Need{build("cancel"), asks(about)}
	case ResumeWave:
		return []rights.Need{image("resume"), asks(about)}
	case StopWave:
		return []rights.Need{image("cancel"), asks(about)}
	case Redeliver:
		return []rights.Need{{Verb: "update", Resource: "receivers", Subresource: "deliveries", Namespace: about.Namespace}}
	case Resend:
		return []rights.Need{{Verb: "update", Resource: "notifications", Namespace: about.Namespace}}
	case ChangeLimit:
		return []rights.Need{rights.SettingsNeed("update", about.Namespace), rights.SettingsNeed("get", about.Namespace)}
	}
	return []rights.Need{unknown}
}

// unknown is a right that no ClusterRole of Penstock has: an action whose rights are not named here
// is not offered to the people who have those.
var unknown = rights.Need{Verb: "none", Resource: "none", Namespace: "none", Name: "none"}

// asks is the right to create RunRequests.
func asks(about Subject) rights.Need {
	return rights.Need{Verb: "create", Resource: "runrequests", Namespace: about.Namespace}
}
