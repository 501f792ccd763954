// Package offer decides which actions the dashboard offers for a thing, by its state and the
// rights of who looks at it. It asks nothing.
package offer

import (
	"errors"
	"net/url"
	"slices"
	"strconv"

	"github.com/penstock-cd/penstock/server/rights"
)

// Name is what an action is called in addresses.
type Name string

// The actions.
const (
	Resume      Name = "resume"
	Retry       Name = "retry"
	Cancel      Name = "cancel"
	Trigger     Name = "trigger"
	Rollback    Name = "rollback"
	Hold        Name = "hold"
	Release     Name = "release"
	RetryBuild  Name = "build-again"
	CancelBuild Name = "cancel-build"
	ResumeWave  Name = "resume-wave"
	StopWave    Name = "stop-wave"
	Redeliver   Name = "redeliver"
	Resend      Name = "resend"
	ChangeLimit Name = "change-limit"
)

// Subject is what an action is about. Fields that the action has no use for are empty.
type Subject struct {
	Namespace, Pipeline, Build, Stage, BaseImage, Limit string
	// Run is a run of the pipeline, and ID the number of a wave, a delivery or a notification.
	Run, ID int64
}

// Offer is an action that somebody can ask for.
type Offer struct {
	Action Name
	// Label is what the button says.
	Label string
	Subject
}

// Offers are those of one page.
type Offers []Offer

// Query is the subject as part of an address.
func (s Subject) Query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"namespace": s.Namespace, "pipeline": s.Pipeline, "build": s.Build, "stage": s.Stage, "baseImage": s.BaseImage, "limit": s.Limit} {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range map[string]int64{"run": s.Run, "id": s.ID} {
		if value != 0 {
			query.Set(name, strconv.FormatInt(value, 10))
		}
	}
	return query
}

// ErrNoSubject means that an address does not say what an action is about.
var ErrNoSubject = errors.New("the address does not say what the action is about")

// SubjectOf reads what Query has written.
func SubjectOf(query url.Values) (Subject, error) {
	s := Subject{
		Namespace: query.Get("namespace"), Pipeline: query.Get("pipeline"), Build: query.Get("build"), Stage: query.Get("stage"), BaseImage: query.Get("baseImage"),
		Limit: query.Get("limit"),
	}
	for name, into := range map[string]*int64{"run": &s.Run, "id": &s.ID} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil || number < 1 {
			return s, ErrNoSubject
		}
		*into = number
	}
	if s.Namespace == "" {
		return s, ErrNoSubject
	}
	return s, nil
}

// Of are the offers of one action.
func (o Offers) Of(action Name) Offers {
	return o.where(func(one Offer) bool { return one.Action == action })
}

// OfRun are the offers about one run.
func (o Offers) OfRun(run int64) Offers {
	return o.where(func(one Offer) bool { return one.Run == run })
}

// OfStage are the offers about one stage of a run.
func (o Offers) OfStage(run int64, stage string) Offers {
	return o.where(func(one Offer) bool { return one.Run == run && one.Stage == stage })
}

// OfPipeline are the offers about a CdPipeline, and none of its runs.
func (o Offers) OfPipeline(pipeline string) Offers {
	return o.where(func(one Offer) bool { return one.Run == 0 && one.Pipeline == pipeline })
}

// OfBuild are the offers about a CiBuild itself.
func (o Offers) OfBuild(build string) Offers {
	return o.where(func(one Offer) bool { return one.Pipeline == "" && one.Build == build })
}

// OfLimit are the offers about a live limit.
func (o Offers) OfLimit(limit string) Offers {
	return o.where(func(one Offer) bool { return one.Limit == limit })
}

// OfID are the offers about what has a number and is no run.
func (o Offers) OfID(id int64) Offers {
	return o.where(func(one Offer) bool { return one.ID == id })
}

// Allowed are the offers for which somebody has every right.
func (o Offers) Allowed(has func(rights.Need) bool) Offers {
	return o.where(func(one Offer) bool {
		return !slices.ContainsFunc(Needs(one.Action, one.Subject), func(need rights.Need) bool { return !has(need) })
	})
}

// Needs are the rights that the offers need, each once.
func (o Offers) Needs() (needs []rights.Need) {
	for _, one := range o {
		for _, need := range Needs(one.Action, one.Subject) {
			if !slices.Contains(needs, need) {
				needs = append(needs, need)
			}
		}
	}
	return needs
}

func (o Offers) where(fits func(Offer) bool) (some Offers) {
	for _, one := range o {
		if fits(one) {
			some = append(some, one)
		}
	}
	return some
}
