// Package commitstatus shows on a commit what became of its deployment, at GitHub and GitLab.
package commitstatus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/clip"
	"github.com/penstock-cd/penstock/pkg/notify"
	"github.com/penstock-cd/penstock/pkg/outbound"
)

// Host is whose API is called.
type Host string

// Hosts.
const (
	GitHub Host = "GitHub"
	GitLab Host = "GitLab"
)

// Config is a host of repositories.
type Config struct {
	Client *outbound.Client
	Host   Host
	// API defaults to the public service's.
	API   string
	Token string
	Now   func() time.Time
}

// Sender sets statuses. Setting one again changes it in place.
type Sender struct{ config Config }

// New returns a Sender.
func New(config Config) *Sender {
	if config.API == "" {
		config.API = map[Host]string{GitHub: "https://api.github.com", GitLab: "https://gitlab.com/api/v4"}[config.Host]
	}
	config.API = strings.TrimSuffix(config.API, "/")
	return &Sender{config: config}
}

// Send implements notify.Sender. The reference is always empty.
func (s *Sender) Send(ctx context.Context, message notify.Message, _ string) (string, error) {
	target, err := targetOf(message.Subject)
	if err != nil {
		return "", err
	}
	request, err := s.request(ctx, target, message)
	if err != nil {
		return "", err
	}
	answer, err := s.config.Client.Do(request)
	if err != nil {
		return "", notify.Fail("commit status", err)
	}
	if isUnchanged(answer, stateOf(message, GitLab)) {
		return "", nil
	}
	if wait, limited := limit(answer, s.config.Now()); limited {
		return "", notify.Later(wait, "commit status: rate limit")
	}
	return "", notify.Judge(answer, s.config.Now())
}

// target is a commit.
type target struct{ path, revision string }

// revision is a whole object name, SHA-1 or SHA-256.
var revision = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func targetOf(subject notify.Subject) (target, error) {
	if !revision.MatchString(subject.Revision) {
		return target{}, notify.Refuse("commit status: revision %q is no whole commit: set spec.revision of the build to one", subject.Revision)
	}
	path, err := repositoryPath(subject.Repository)
	if err != nil {
		return target{}, err
	}
	return target{path: path, revision: subject.Revision}, nil
}

// repositoryPath is "owner/name" of a URL, or of the form git@host:owner/name.git.
func repositoryPath(repository string) (string, error) {
	path := ""
	if parsed, err := url.Parse(repository); err == nil && parsed.Host != "" {
		path = parsed.Path
	} else if _, after, found := strings.Cut(repository, ":"); found {
		path = after
	}
	path = strings.Trim(strings.TrimSuffix(strings.TrimSuffix(path, "/"), ".git"), "/")
	parts := strings.Split(path, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." {
			return "", notify.Refuse("commit status: spec.source.url of the CiPipeline, %q, names no repository", repository)
		}
	}
	if len(parts) < 2 {
		return "", notify.Refuse("commit status: spec.source.url of the CiPipeline, %q, names no repository", repository)
	}
	return path, nil
}

const (
	// maxDescription is GitHub's limit of a description, in characters; GitLab's is 255.
	maxDescription = 140
	// maxContext keeps the name of a status below both hosts' 255.
	maxContext = 200
)

func (s *Sender) request(ctx context.Context, commit target, message notify.Message) (*http.Request, error) {
	var where string
	content := map[string]string{"description": clip.Text(message.Title, maxDescription)}
	if message.URL != "" {
		content["target_url"] = message.URL
	}
	switch s.config.Host {
	case GitLab:
		where = "/projects/" + url.PathEscape(commit.path) + "/statuses/" + commit.revision
		content["name"] = name(message.Subject)
		content["state"] = stateOf(message, GitLab)
	default:
		where = "/repos/" + escaped(commit.path) + "/statuses/" + commit.revision
		content["context"] = name(message.Subject)
		content["state"] = stateOf(message, GitHub)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("commit status: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.API+where, bytes.NewReader(body))
	if err != nil {
		return nil, notify.Refuse("commit status: the API's URL cannot be read")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "penstock")
	if s.config.Host == GitLab {
		request.Header.Set("PRIVATE-TOKEN", s.config.Token)
	} else {
		request.Header.Set("Authorization", "Bearer "+s.config.Token)
		request.Header.Set("Accept", "application/vnd.github+json")
		request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	}
	return request, nil
}

// escaped keeps the slashes of a path.
func escaped(path string) string { return strings.ReplaceAll(url.PathEscape(path), "%2F", "/") }

// name tells statuses of one commit apart.
func name(subject notify.Subject) string {
	parts := []string{"penstock"}
	for _, part := range []string{subject.Environment, subject.Pipeline} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return clip.Text(strings.Join(parts, "/"), maxContext)
}

var (
	gitHubStates = map[notify.Level]string{notify.Info: "pending", notify.Success: "success", notify.Failure: "failure"}
	gitLabStates = map[notify.Level]string{notify.Info: "running", notify.Success: "success", notify.Failure: "failed"}
)

// cancelled are the states of what was ended before it was done.
var cancelled = map[Host]string{GitHub: "error", GitLab: "canceled"}

func stateOf(message notify.Message, host Host) string {
	switch {
	case message.Type == string(v1alpha1.EventRunCancelled):
		return cancelled[host]
	case host == GitLab:
		return gitLabStates[message.Level]
	}
	return gitHubStates[message.Level]
}

// isUnchanged tells whether GitLab refused a status since the commit has it already: "Cannot
// transition status via :succeed from :success".
func isUnchanged(answer outbound.Answer, state string) bool {
	return answer.Status == http.StatusBadRequest && bytes.Contains(answer.Body, []byte("Cannot transition status")) &&
		bytes.Contains(answer.Body, []byte("from :"+state))
}

// limit is GitHub's other way to say 429: 403 with a header
// (docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
func limit(answer outbound.Answer, now time.Time) (time.Duration, bool) {
	if answer.Status != http.StatusForbidden || answer.Header.Get("X-RateLimit-Remaining") != "0" {
		return 0, false
	}
	var reset int64
	if _, err := fmt.Sscan(answer.Header.Get("X-RateLimit-Reset"), &reset); err != nil {
		return time.Minute, true
	}
	return time.Unix(reset, 0).Sub(now), true
}
