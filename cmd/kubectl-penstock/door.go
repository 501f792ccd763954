package main

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"strings"
	"sync"
)

// doorCookie tells the browser that has opened the door.
const doorCookie = "penstock-dashboard"

// door lets one browser in to what it guards: the first that opens its address. Its host is a
// name that nobody else knows: browsers send cookies to every port of a host, so that one for
// 127.0.0.1 would come to the programs of other users as well.
type door struct {
	host    string // with the port
	guarded *httputil.ReverseProxy
	origins *http.CrossOriginProtection

	mu      sync.Mutex
	once    string // of the address; empty once it was used
	browser string // the cookie of who is in
}

// newDoor returns a door at a port of this machine. Browsers take every name that ends with
// .localhost for this machine.
func newDoor(connected *connection, port int) (*door, error) {
	cookies, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	guarded, err := proxyTo(connected, cookies)
	if err != nil {
		return nil, err
	}
	host := fmt.Sprintf("%s.localhost:%d", strings.ToLower(rand.Text()), port)
	return &door{host: host, guarded: guarded, origins: http.NewCrossOriginProtection(), once: rand.Text(), browser: rand.Text()}, nil
}

// address is the one that works once.
func (d *door) address() string { return "http://" + d.host + "/open/" + d.once }

// ServeHTTP implements http.Handler. A page of another site that resolves to this machine has
// another host, and can neither read nor send anything.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, opens := strings.CutPrefix(r.URL.Path, "/open/")
	cookie, err := r.Cookie(doorCookie)
	switch {
	case r.Host != d.host || d.origins.Check(r) != nil:
		http.Error(w, "the request comes from another site", http.StatusForbidden)
	case opens && d.open(key):
		http.SetCookie(w, &http.Cookie{Name: doorCookie, Value: d.browser, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}) //nolint:gosec // this machine's own address is not encrypted
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case err != nil || subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(d.browser)) != 1:
		http.Error(w, "this address was used, or is another one's: run kubectl penstock dashboard again", http.StatusForbidden)
	case strings.HasPrefix(r.URL.Path, "/api/"):
		http.Error(w, "the API is not served here, and pages do not need it: use kubectl penstock", http.StatusForbidden)
	default:
		d.guarded.ServeHTTP(w, r)
	}
}

// open tells whether a key opens the door, which it does once.
func (d *door) open(key string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.once == "" || subtle.ConstantTimeCompare([]byte(key), []byte(d.once)) != 1 {
		return false
	}
	d.once = ""
	return true
}
