package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// format is a form that a text must have. It says nothing about the empty text,
// which stands for "not set".
type format struct {
	allowed string
	accepts func(string) bool
}

func formatOf(tag reflect.StructTag) format {
	known, found := formats[tag.Get("format")]
	if !found {
		panic("config: bad struct tag: unknown format " + strconv.Quote(tag.Get("format")))
	}
	return known
}

// formats are the values of the tag format.
var formats = map[string]format{
	"postgres":   {"a Postgres URL (postgres://user:password@host:5432/database) or keyword=value pairs", isPostgres},
	"identifier": {"a lower-case Postgres identifier of at most 63 characters that does not start with pg_", isIdentifier},
	"namespace":  {"a namespace name: at most 63 lower-case letters, digits and inner dashes", isNamespace},
	"kind":       {"a plural name and its group, such as pods or deployments.apps, but not secrets", isKind},
	"label":      {"key=value, a label of Kubernetes that is neither Penstock's own nor one in which Argo keeps a Workflow's state", isFreeLabel},
	"address":    {"host:port or :port, with a port from 0 to 65535, or 0 for none", isAddress},
	"path":       {"an absolute path", isPath},
	"name":       {"at most 63 letters, digits and inner dashes, dots or underscores", isName},
	"listener":   {"host:port or :port, with a port from 0 to 65535", func(value string) bool { return value != "0" && isAddress(value) }},
	"https":      {"a URL of the form https://host, with a port and a path where they are needed", isHTTPS},
	"network":    {"a network such as 10.1.0.0/16 or fd00::/8", isNetwork},
	"proxy":      {"a URL of the form http://host:port or https://host:port, without a password", isProxy},
	"key":        {"a random text of at least 32 characters, such as openssl rand -hex 32 prints", func(value string) bool { return len(value) >= 32 }},
	"prefix":     {"a text that does not begin with system:, which is Kubernetes' own", func(value string) bool { return !strings.HasPrefix(value, "system:") }},
	"word":       {"a text without white space", func(value string) bool { return value != "" && !strings.ContainsAny(value, " \t\r\n") }},
}

// keywords is libpq's keyword=value form, far enough to tell it from a mistake.
// The driver parses it fully when it connects.
var keywords = regexp.MustCompile(`^\s*[a-z_]+\s*=\s*\S`)

func isPostgres(value string) bool {
	if !strings.Contains(value, "://") {
		return keywords.MatchString(value)
	}
	parsed, err := url.Parse(value)
	if err != nil {
		return false
	}
	return parsed.Scheme == "postgres" || parsed.Scheme == "postgresql"
}

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// Postgres keeps the prefix pg_ for schemas of its own.
func isIdentifier(value string) bool {
	return identifier.MatchString(value) && !strings.HasPrefix(value, "pg_")
}

var kind = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func isKind(value string) bool {
	return len(value) <= 253 && kind.MatchString(value) && value != "secrets"
}

func isHTTPS(value string) bool {
	parsed, err := url.Parse(value)
	return err == nil && parsed.Scheme == "https" && parsed.Host != "" && parsed.User == nil && parsed.RawQuery == "" && parsed.Fragment == ""
}

func isNetwork(value string) bool {
	_, err := netip.ParsePrefix(value)
	return err == nil
}

// isProxy takes no password: the value is shown in logs and errors.
func isProxy(value string) bool {
	parsed, err := url.Parse(value)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Host != "" && parsed.User == nil
}

func isNamespace(value string) bool {
	return len(validation.IsDNS1123Label(value)) == 0
}

func isPath(value string) bool { return filepath.IsAbs(value) }

func isName(value string) bool { return len(validation.IsValidLabelValue(value)) == 0 }

// isFreeLabel tells whether a Workflow may be given the label: those that Penstock and
// Argo's controller read are theirs.
func isFreeLabel(label string) bool {
	key, value, found := strings.Cut(label, "=")
	if !found || len(validation.IsQualifiedName(key)) > 0 || len(validation.IsValidLabelValue(value)) > 0 {
		return false
	}
	taken := []string{v1alpha1.LabelManagedBy, "workflows.argoproj.io/phase", "workflows.argoproj.io/completed", "workflows.argoproj.io/workflow-archiving-status"}
	return !slices.Contains(taken, key) && !strings.HasPrefix(key, "penstock.dev/")
}

func isAddress(value string) bool {
	if value == "0" {
		return true
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
