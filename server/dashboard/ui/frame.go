// Package ui renders the pages of the dashboard from what the API answered. It asks nothing
// and decides nothing but how things look.
package ui

import (
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"
)

// Frame is what every page has around its content.
type Frame struct {
	// Base is where the dashboard is published.
	Base string
	// Static are the served names of the static files.
	Static map[string]string
	Title  string
	// Theme is auto, light or dark.
	Theme string
	// Here is the path and query of the page, for forms that come back to it.
	Here string
	// User is empty where nobody is known.
	User string
	// SignedIn is true where sign-out ends a session.
	SignedIn bool
	// Section is the part of the navigation that the page belongs to.
	Section string
	// FormToken goes into every form.
	FormToken string
	// Live is the path of the stream that says when the page has changed; empty is none.
	Live    string
	Now     time.Time
	Version string
}

// Page is a page of somebody who is known.
type Page struct {
	Title   string
	Section string
	Live    string
	Body    func(Frame) templ.Component
}

// Path is the address of a page of the dashboard, with its segments escaped.
func (f Frame) Path(segments ...string) string {
	var address strings.Builder
	if f.Base != "/" {
		address.WriteString(f.Base)
	}
	for _, segment := range segments {
		address.WriteString("/" + url.PathEscape(segment))
	}
	if len(segments) == 0 {
		address.WriteString("/")
	}
	return address.String()
}

// With is Path with a query of pairs; a pair without a value is left out.
func (f Frame) With(path string, pairs ...string) string {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// File is the address of a static file.
func (f Frame) File(name string) string { return f.Path("static", f.Static[name]) }

// section is one entry of the navigation.
type section struct{ name, path string }

// sections are the navigation, in its order.
var sections = []section{
	{"Applications", ""}, {"Queue", "queue"}, {"Clusters", "clusters"}, {"Resources", "resources"}, {"Images", "images"},
	{"Deliveries", "deliveries"}, {"Notifications", "notifications"}, {"Settings", "settings"},
}

func (f Frame) sectionPath(one section) string {
	if one.path == "" {
		return f.Path()
	}
	return f.Path(one.path)
}

// themes are the choices of the theme, and what they are called.
var themes = []struct{ value, label string }{{"auto", "As the system"}, {"light", "Light"}, {"dark", "Dark"}}
