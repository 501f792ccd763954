package webhook

import "strconv"

// gitlab is GitLab: https://docs.gitlab.com/user/project/integrations/webhook_events/.
type gitlab struct{}

// buildVariable is the variable of a GitLab pipeline that names the CiBuild that it runs.
const buildVariable = "PENSTOCK_BUILD"

// Headers implements Sender.
func (gitlab) Headers() []string {
	return []string{"X-Gitlab-Event", "Idempotency-Key", "Webhook-Id", "X-Gitlab-Event-Uuid"}
}

// Verify implements Sender: the secret token, or the signature that newer versions make with
// the signing token.
func (gitlab) Verify(request Request, secrets [][]byte) error {
	signature := verifyStandard(request, secrets)
	token := verifyToken(request, only(request.Header, "X-Gitlab-Token"), secrets)
	if signature == nil || token == nil {
		return nil
	}
	return ErrUnverified
}

// Payload implements Sender.
func (gitlab) Payload(request Request) ([]byte, error) { return request.Body, nil }

type gitlabBody struct {
	Kind     string         `json:"object_kind"`
	Ref      string         `json:"ref"`
	After    string         `json:"after"`
	Checkout string         `json:"checkout_sha"`
	Pipeline gitlabPipeline `json:"object_attributes"`
	Project  gitlabProject  `json:"project"`
}

type gitlabPipeline struct {
	ID        int64  `json:"id"`
	Ref       string `json:"ref"`
	SHA       string `json:"sha"`
	Status    string `json:"status"`
	Variables []struct {
		Key   string `json:"key"`
		Value string `json:"value"`
	} `json:"variables"`
}

type gitlabProject struct {
	HTTP string `json:"git_http_url"`
	SSH  string `json:"git_ssh_url"`
	Web  string `json:"web_url"`
}

// gitlabKinds are the events that are acted upon. Not all kinds have the same fields, so that
// others are not read.
var gitlabKinds = map[string]string{"Push Hook": "push", "Tag Push Hook": "tag_push", "Pipeline Hook": "pipeline", "System Hook": ""}

// Parse implements Sender.
func (gitlab) Parse(request Request) (Event, error) {
	header := request.Header
	// X-Gitlab-Event-UUID is that of the chain of hooks that one event sets off, and the same
	// for each of them: only Webhook-Id, which is signed, and the equal Idempotency-Key are one delivery's own.
	id := firstOf(header.Get("Webhook-Id"), header.Get("Idempotency-Key"))
	if id == "" && header.Get("X-Gitlab-Event-Uuid") != "" {
		id = header.Get("X-Gitlab-Event-Uuid") + " " + bodyID(request.Body)
	}
	event := Event{Name: bounded(header.Get("X-Gitlab-Event")), ID: bounded(firstOf(id, bodyID(request.Body)))}
	want, known := gitlabKinds[event.Name]
	if !known {
		return event.ignored("no event that is acted upon"), nil
	}
	var kind struct {
		Kind string `json:"object_kind"`
	}
	if err := decode(request.Body, &kind); err != nil {
		return event, err
	}
	if want != "" && kind.Kind != want {
		return event, malformed("the body is of the kind %s, but the header names %s", strconv.Quote(kind.Kind), strconv.Quote(event.Name))
	}
	switch kind.Kind {
	case "push", "tag_push", "pipeline":
		return parseGitlab(event, request.Body)
	default:
		return event.ignored("no event that is acted upon"), nil
	}
}

func parseGitlab(event Event, payload []byte) (Event, error) {
	var body gitlabBody
	if err := decode(payload, &body); err != nil {
		return event, err
	}
	all := repositories(true, body.Project.HTTP, body.Project.SSH, body.Project.Web)
	if body.Kind == "pipeline" {
		return body.Pipeline.report(event.ordered(orderOf(all)), all)
	}
	// Only checkout_sha is a commit for an annotated tag.
	return event.pushedRef(body.Ref, firstOf(body.Checkout, body.After), isNothing(body.After), all)
}

// report is about the CiBuild that the variable names. Artifacts are not part of the event:
// the pipeline's jobs report them.
func (p gitlabPipeline) report(event Event, all []Repository) (Event, error) {
	report := Report{Repositories: all, Revision: p.SHA, Ref: p.Ref}
	for _, variable := range p.Variables {
		if variable.Key == buildVariable {
			report.Build = variable.Value
		}
	}
	if report.Build == "" {
		return event.ignored("the pipeline has no variable " + buildVariable + " that names a CiBuild"), nil
	}
	phase, known := phaseOf(p.Status)
	if !known || phase == "" {
		return event.ignored("status " + strconv.Quote(p.Status) + " says nothing of a build"), nil
	}
	event.Kind, report.Phase = BuildReported, phase
	event.Report = report
	return event, nil
}
