package identity

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
)

const (
	serviceAccountPrefix = "system:serviceaccount:"
	anonymous            = "system:anonymous"
	// maxImpersonated bounds the reviews of one request.
	maxImpersonated = 32
)

// wish is one thing that the caller wants to be.
type wish struct {
	kind, value string
	what        authorizationv1.ResourceAttributes
}

// impersonate returns whom a request is to be carried out as: the user, unless there are
// impersonation headers. They mean what they mean at the API server, and each needs the
// verb impersonate.
func (a *Authenticator) impersonate(r *http.Request, user User) (User, error) {
	wanted, wishes, err := wanted(r.Header)
	if err != nil || len(wishes) == 0 {
		return user, err
	}
	for _, wish := range wishes {
		wish.what.Verb = "impersonate"
		allowed, err := a.Allowed(r.Context(), user, wish.what)
		if err != nil {
			return User{}, err
		}
		if !allowed {
			return User{}, &RefusedError{
				Status: http.StatusForbidden, User: user.Name,
				Detail: fmt.Sprintf("user %q may not impersonate %s %q: it needs the verb impersonate on it, as at the API server", user.Name, wish.kind, wish.value),
			}
		}
	}
	wanted.Impersonator = user.Name
	return wanted, nil
}

// wanted reads the headers.
func wanted(header http.Header) (User, []wish, error) {
	user := User{
		Name: header.Get(authenticationv1.ImpersonateUserHeader), UID: header.Get(authenticationv1.ImpersonateUIDHeader),
		Groups: slices.Clone(header.Values(authenticationv1.ImpersonateGroupHeader)),
	}
	var wishes []wish
	if user.Name != "" {
		wishes = append(wishes, wishOfUser(user.Name))
	}
	if user.UID != "" {
		wishes = append(wishes, wish{"UID", user.UID, authorizationv1.ResourceAttributes{Group: "authentication.k8s.io", Version: "v1", Resource: "uids", Name: user.UID}})
	}
	for _, group := range user.Groups {
		wishes = append(wishes, wish{"group", group, authorizationv1.ResourceAttributes{Version: "v1", Resource: "groups", Name: group}})
	}
	for name, values := range header {
		prefix := authenticationv1.ImpersonateUserExtraHeaderPrefix
		if len(name) <= len(prefix) || !strings.EqualFold(name[:len(prefix)], prefix) {
			continue
		}
		extra := strings.ToLower(name[len(prefix):])
		if unescaped, err := url.PathUnescape(extra); err == nil {
			extra = unescaped
		}
		if user.Extra == nil {
			user.Extra = map[string][]string{}
		}
		user.Extra[extra] = append(user.Extra[extra], values...)
		for _, value := range values {
			wishes = append(wishes, wish{"extra " + extra, value, authorizationv1.ResourceAttributes{
				Group: "authentication.k8s.io", Version: "v1", Resource: "userextras", Subresource: extra, Name: value,
			}})
		}
	}
	if len(wishes) > 0 && user.Name == "" {
		return User{}, nil, &RefusedError{Status: http.StatusBadRequest, Detail: "impersonation headers without Impersonate-User: name the user to act as"}
	}
	if len(wishes) > maxImpersonated {
		return User{}, nil, &RefusedError{Status: http.StatusBadRequest, Detail: fmt.Sprintf("more than %d impersonation headers", maxImpersonated)}
	}
	user.Groups = groupsOf(user)
	return user, wishes, nil
}

func wishOfUser(name string) wish {
	if rest, ok := strings.CutPrefix(name, serviceAccountPrefix); ok {
		if namespace, account, ok := strings.Cut(rest, ":"); ok {
			return wish{"service account", name, authorizationv1.ResourceAttributes{Version: "v1", Resource: "serviceaccounts", Namespace: namespace, Name: account}}
		}
	}
	return wish{"user", name, authorizationv1.ResourceAttributes{Version: "v1", Resource: "users", Name: name}}
}

// groupsOf adds the groups that the API server adds.
func groupsOf(user User) []string {
	groups := user.Groups
	rest, isServiceAccount := strings.CutPrefix(user.Name, serviceAccountPrefix)
	if namespace, _, ok := strings.Cut(rest, ":"); isServiceAccount && ok && len(groups) == 0 {
		groups = append(groups, "system:serviceaccounts", "system:serviceaccounts:"+namespace)
	}
	if user.Name == anonymous {
		if len(groups) == 0 {
			groups = append(groups, "system:unauthenticated")
		}
		return groups
	}
	if !slices.Contains(groups, authenticated) {
		groups = append(groups, authenticated)
	}
	return groups
}
