// Package dashboard shows to people what the API answers: each page asks /api/v1 within the
// process, as its user, so that it shows nothing that the API does not give. What people ask for by
// a form, it asks the API for.
package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"k8s.io/utils/clock"

	"github.com/penstock-cd/penstock/server/dashboard/session"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/oidc"
)

// Config is what a Dashboard works with. Every field but Anonymous and Provider is required.
type Config struct {
	// BasePath is where a proxy publishes the dashboard: / or a path without a slash at its end.
	BasePath string
	// SessionKey is what all replicas encrypt sessions by. It must not block.
	SessionKey func() []byte
	// SessionLifetime is the longest time that somebody stays signed in.
	SessionLifetime time.Duration
	// Anonymous shows pages to those who have not signed in, as system:anonymous.
	Anonymous bool
	// Provider signs people in; nil where there is none. BrowserURL is then where browsers reach
	// the dashboard, without a slash at its end.
	Provider   *oidc.Provider
	BrowserURL string
	// API answers requests under /api/v1 whose context knows their user.
	API http.Handler
	// Identify tells who sends a request, by its Authorization header, session or client
	// certificate.
	Identify func(*http.Request) (identity.User, error)
	// Rights tells which actions a user is offered.
	Rights Rights
	// SettingsNamespace is where the ConfigMap with the live limits is.
	SettingsNamespace string
	// Refused writes to the log who was refused, within a rate.
	Refused func(*http.Request, identity.User, error)
	// Admit refuses a user who sends too much, and everybody until the server is ready.
	Admit func(identity.User) error
	// PagesAtOnce is how many pages are made of what Postgres holds at the same time. Each uses two
	// connections at most.
	PagesAtOnce int
	// RetryAfter is what people are told while the API server is away.
	RetryAfter time.Duration
	Version    string
	Clock      clock.PassiveClock
	Log        logr.Logger
}

// Dashboard serves the pages.
type Dashboard struct {
	config   Config
	sessions *session.Keeper
	static   *static
	origins  *http.CrossOriginProtection
	mux      *http.ServeMux
	turns    *semaphore.Weighted
}

// New returns a dashboard with all its pages.
func New(config Config) (*Dashboard, error) {
	config.BasePath = "/" + strings.Trim(config.BasePath, "/")
	sessions := session.New(session.Config{Key: config.SessionKey, Path: config.BasePath, Lifetime: config.SessionLifetime, Clock: config.Clock})
	files, err := newStatic()
	if err != nil {
		return nil, fmt.Errorf("read static files: %w", err)
	}
	d := &Dashboard{
		config: config, sessions: sessions, static: files, origins: http.NewCrossOriginProtection(), mux: http.NewServeMux(),
		turns: semaphore.NewWeighted(int64(config.PagesAtOnce)),
	}
	d.routes()
	return d, nil
}

// routes are all that is served, in the order of the navigation.
func (d *Dashboard) routes() {
	d.mux.Handle("GET /static/{file}", d.static)
	d.page("GET /{$}", d.inTurn(applications))
	d.page("GET /apps/{namespace}/{application}", d.inTurn(application))
	d.page("GET /builds/{namespace}", d.inTurn(builds))
	d.page("GET /builds/{namespace}/{name}", d.inTurn(build))
	d.page("GET /pipelines/{namespace}/{name}", d.inTurn(runs))
	d.page("GET /queue", d.inTurn(queue))
	d.page("GET /clusters", clusters)
	d.page("GET /clusters/{name}", cluster)
	d.page("GET /resources", resources)
	d.page("GET /images", d.inTurn(images))
	d.page("GET /images/{namespace}/{name}/{number}", d.inTurn(wave))
	d.page("GET /deliveries", d.inTurn(deliveries))
	d.page("GET /deliveries/{namespace}/{id}", d.inTurn(delivery))
	d.page("GET /notifications", d.inTurn(notifications))
	d.page("GET /settings", settings)
	d.page("GET /requests/{namespace}/{name}", request)
	d.page("GET /actions/{action}", confirm)
	d.form("POST /actions/{action}", d.act)
	d.mux.HandleFunc("GET /live/{path...}", d.stream)
	d.mux.HandleFunc("GET /sign-in", d.showSignIn)
	if d.config.Provider != nil {
		d.mux.HandleFunc("GET /sign-in/oidc", d.goToProvider)
		d.mux.HandleFunc("GET /sign-in/callback", d.comeBack)
	}
	d.form("POST /sign-in", d.signIn)
	d.form("POST /sign-out", d.signOut)
	d.form("POST /theme", d.setTheme)
}

// Handler serves what belongs to the dashboard, and leaves all else to next. Only people get
// the page for paths that do not exist: next answers programs.
func (d *Dashboard) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := d.Within(r)
		_, pattern := d.mux.Handler(inner)
		switch {
		case pattern != "":
			secure(w.Header())
			d.mux.ServeHTTP(w, inner)
			r.Pattern = inner.Pattern // for the metrics
		case isForPeople(inner):
			secure(w.Header())
			d.notFound(w, inner)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// notFound shows those who are known the way to all other pages.
func (d *Dashboard) notFound(w http.ResponseWriter, r *http.Request) {
	name := ""
	r = d.withSession(r)
	if v, err := d.visit(w, r); err == nil {
		name = v.user.Name
	}
	d.fail(w, r, name, noPage)
}

// Within returns the request as it is without the base path, which a proxy may have stripped.
func (d *Dashboard) Within(r *http.Request) *http.Request {
	inner := r.WithContext(r.Context())
	base := d.config.BasePath
	if base == "/" {
		return inner
	}
	if path, found := strings.CutPrefix(r.URL.Path, base); found && (path == "" || path[0] == '/') {
		address := *r.URL
		address.Path = "/" + strings.TrimPrefix(path, "/")
		address.RawPath = ""
		if raw, found := strings.CutPrefix(r.URL.RawPath, base); found {
			address.RawPath = "/" + strings.TrimPrefix(raw, "/")
		}
		inner.URL = &address
	}
	return inner
}

func isForPeople(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// secure sets the headers of every answer of the dashboard. Nothing from elsewhere is loaded,
// nothing inline runs, and no other page may frame ours.
func secure(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
}
