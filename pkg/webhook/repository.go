package webhook

import (
	"net/url"
	"strings"
)

// Repository is a git repository, whichever form of its URL was given: host/path, without the
// scheme, user, default port, .git and slashes at the end. The host is in lower case.
type Repository struct {
	// Name is host/path.
	Name string
	// AnyCase means that the host takes no notice of the case of the path, as GitHub and
	// GitLab do: two repositories there never differ by it alone.
	AnyCase bool
}

// defaultPorts are left out of a name; the ports of ssh and https then do not make two
// repositories of one.
var defaultPorts = map[string]string{"ssh": "22", "git+ssh": "22", "ssh+git": "22", "http": "80", "https": "443", "git": "9418"}

// hostNames are other names of hosts.
var hostNames = map[string]string{"ssh.github.com:443": "github.com", "www.github.com": "github.com", "altssh.gitlab.com:443": "gitlab.com"}

// anyCaseHosts are the public hosts that take no notice of the case of a path.
var anyCaseHosts = map[string]bool{"github.com": true, "gitlab.com": true}

// ParseRepository returns the repository at a URL, or at what git takes for one, such as
// git@host:path; false where that is none on another machine.
func ParseRepository(text string) (Repository, bool) {
	host, path, found := splitURL(strings.TrimSpace(text))
	path = cleanPath(path)
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if other, known := hostNames[host]; known {
		host = other
	}
	if !found || host == "" || path == "" {
		return Repository{}, false
	}
	return Repository{Name: host + "/" + path, AnyCase: anyCaseHosts[host]}, true
}

// splitURL returns the host, with its port unless that is the default, and the path.
func splitURL(text string) (host, path string, found bool) {
	if !strings.Contains(text, "://") {
		return splitShort(text)
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return "", "", false
	}
	port, known := defaultPorts[strings.ToLower(parsed.Scheme)]
	return strings.TrimSuffix(parsed.Host, ":"+port), parsed.Path, known
}

// splitShort splits git's own form [user@]host:path. What has a slash before the colon is a
// file.
func splitShort(text string) (host, path string, found bool) {
	host, path, found = strings.Cut(text, ":")
	if strings.ContainsAny(host, "/\\") {
		return "", "", false
	}
	if _, after, hasUser := strings.Cut(host, "@"); hasUser {
		host = after
	}
	return host, path, found
}

// cleanPath removes what does not tell repositories apart.
func cleanPath(path string) string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			return ""
		default:
			parts = append(parts, part)
		}
	}
	return strings.TrimSuffix(strings.Join(parts, "/"), ".git")
}

// Is tells whether two are one repository.
func (r Repository) Is(other Repository) bool {
	if r.AnyCase || other.AnyCase {
		return strings.EqualFold(r.Name, other.Name)
	}
	return r.Name == other.Name
}

// IsOneOf tells whether a repository is among others.
func (r Repository) IsOneOf(others []Repository) bool {
	for _, other := range others {
		if r.Is(other) {
			return true
		}
	}
	return false
}

// repositories returns those at the URLs that name one, each once.
func repositories(anyCase bool, urls ...string) []Repository {
	var all []Repository
	for _, one := range urls {
		repository, found := ParseRepository(one)
		repository.AnyCase = repository.AnyCase || anyCase
		if found && !repository.IsOneOf(all) {
			all = append(all, repository)
		}
	}
	return all
}

// orderOf is what deliveries about a repository are ordered by.
func orderOf(all []Repository) string {
	if len(all) == 0 {
		return ""
	}
	if all[0].AnyCase {
		return strings.ToLower(all[0].Name)
	}
	return all[0].Name
}
