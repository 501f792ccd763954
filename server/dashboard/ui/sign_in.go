package ui

import "net/url"

// SignInChoice is how somebody can sign in.
type SignInChoice struct {
	// Next is the page to go to.
	Next string
	// Message is what was wrong before.
	Message string
	// Provider is the host of the identity provider; empty where there is none.
	Provider string
	// IsSignedOut tells that somebody has signed out just now. SignOutURL is then where they can
	// sign out at the provider; empty where it has no such page.
	IsSignedOut bool
	SignOutURL  string
}

func (c SignInChoice) query() string {
	if c.Next == "" || c.Next == "/" {
		return ""
	}
	return "?" + url.Values{"next": {c.Next}}.Encode()
}
