package oidc

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"github.com/penstock-cd/penstock/server/identity"
)

const (
	// reserved begins the names of users and groups that are Kubernetes' own. A provider that
	// could give them away would make administrators of whom it likes.
	reserved = "system:"
	// maxName is how many bytes the name of a user or of a group may have: spec.by of a
	// RunRequest takes no more.
	maxName = 512
)

// Names tells who somebody is in Kubernetes, by the claims of their ID token. The fields mean
// what the flags --oidc-* of kube-apiserver mean.
type Names struct {
	Issuer string
	// UserClaim is the claim with the user's name. UserPrefix comes before it: empty means the
	// issuer and #, unless the claim is email; - means nothing.
	UserClaim, UserPrefix string
	// GroupsClaim is the claim with the groups; empty means that there are none.
	GroupsClaim, GroupsPrefix string
}

type claims map[string]json.RawMessage

// user is who the claims are about, and how many of the groups were dropped since their names
// are Kubernetes' own.
func (n Names) user(of claims) (user identity.User, dropped int, err error) {
	name, err := n.name(of)
	if err != nil {
		return identity.User{}, 0, err
	}
	all, err := n.groups(of)
	if err != nil {
		return identity.User{}, 0, err
	}
	groups := slices.DeleteFunc(slices.Clone(all), func(group string) bool { return strings.HasPrefix(group, reserved) })
	dropped = len(all) - len(groups)
	slices.Sort(groups)
	return identity.User{Name: name, Groups: slices.Compact(groups)}, dropped, nil
}

func (n Names) name(of claims) (string, error) {
	var name string
	if raw, found := of[n.UserClaim]; !found || json.Unmarshal(raw, &name) != nil || name == "" {
		return "", forbidf("The identity provider does not tell your name: its ID token has no text in the claim %s. Ask an administrator to have the provider send it, or to set OIDC_USERNAME_CLAIM to another claim.", n.UserClaim)
	}
	if verified, found := of["email_verified"]; found && n.UserClaim == "email" && string(verified) != "true" {
		return "", forbidf("The identity provider has not verified your e-mail address, which is your name here. Verify it at the provider, and sign in again.")
	}
	name = n.prefix() + name
	switch {
	case strings.HasPrefix(name, reserved):
		return "", forbidf("Your name at the identity provider begins with system:, which is kept for Kubernetes itself. Ask an administrator to set OIDC_USERNAME_PREFIX.")
	case !usable(name):
		return "", forbidf("Your name at the identity provider can't be used: it is longer than %d bytes, or has characters that can't be seen. Ask an administrator to set OIDC_USERNAME_CLAIM to another claim.", maxName)
	}
	return name, nil
}

func (n Names) prefix() string {
	switch {
	case n.UserPrefix == "-", n.UserPrefix == "" && n.UserClaim == "email":
		return ""
	case n.UserPrefix == "":
		return n.Issuer + "#"
	}
	return n.UserPrefix
}

// groups takes a text for a list of one, as kube-apiserver does.
func (n Names) groups(of claims) (groups []string, err error) {
	raw, found := of[n.GroupsClaim]
	if n.GroupsClaim == "" || !found || string(raw) == "null" {
		return nil, n.elsewhere(of)
	}
	var one string
	if json.Unmarshal(raw, &one) == nil {
		groups = []string{one}
	} else if json.Unmarshal(raw, &groups) != nil {
		return nil, forbidf("The identity provider tells your groups in a form that can't be read: the claim %s of its ID token is neither a text nor a list of texts. Ask an administrator to set OIDC_GROUPS_CLAIM to another claim.", n.GroupsClaim)
	}
	groups = slices.DeleteFunc(groups, func(group string) bool { return group == "" })
	for i, group := range groups {
		if groups[i] = n.GroupsPrefix + group; !usable(groups[i]) {
			return nil, forbidf("One of your groups at the identity provider has a name that can't be used: it is longer than %d bytes, or has characters that can't be seen. Ask an administrator of the provider to rename it.", maxName)
		}
	}
	return groups, nil
}

// elsewhere refuses groups that the token only points to, as some providers do for people with
// many: without them somebody would see less than they may, and not know why.
func (n Names) elsewhere(of claims) error {
	var names map[string]json.RawMessage
	readable := json.Unmarshal(of["_claim_names"], &names) == nil
	if _, found := names[n.GroupsClaim]; !readable || !found || n.GroupsClaim == "" {
		return nil
	}
	return forbidf("You have more groups than the identity provider puts into an ID token. Ask an administrator to have the provider send those alone that are assigned to the dashboard.")
}

func usable(name string) bool {
	return len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}
