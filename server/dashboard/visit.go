package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/penstock-cd/penstock/server/api"
	"github.com/penstock-cd/penstock/server/dashboard/ui"
	"github.com/penstock-cd/penstock/server/identity"
)

// visit is one request for a page, by somebody who is known.
type visit struct {
	*Dashboard

	w    http.ResponseWriter
	r    *http.Request // with the user's Authorization header or session, if they have one
	user identity.User
}

// anonymous is who has not signed in, where that is allowed.
var anonymous = identity.User{Name: "system:anonymous", Groups: []string{"system:unauthenticated"}}

// visit finds out who sends a request that withSession returned. Its error is an HTTP one.
func (d *Dashboard) visit(w http.ResponseWriter, r *http.Request) (*visit, error) {
	user, err := d.identify(r)
	if err != nil {
		return nil, err
	}
	if err := d.config.Admit(user); err != nil {
		return nil, err
	}
	return &visit{Dashboard: d, w: w, r: r, user: user}, nil
}

func (d *Dashboard) identify(r *http.Request) (identity.User, error) {
	if d.config.Anonymous && !hasCredentials(r) {
		return anonymous, nil
	}
	return d.config.Identify(r)
}

// withSession returns the request with its session: with a token as Authorization header, or with
// a person. A header that the request has already, as behind kubectl penstock dashboard, goes
// before both.
func (d *Dashboard) withSession(r *http.Request) *http.Request {
	if r.Header.Get("Authorization") != "" {
		return r
	}
	token := d.sessions.Token(r)
	if token == "" {
		return d.withPerson(r)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func hasCredentials(r *http.Request) bool {
	return r.Header.Get("Authorization") != "" || identity.HasSession(r) || (r.TLS != nil && len(r.TLS.PeerCertificates) > 0)
}

// page serves a page to those who are known.
func (d *Dashboard) page(pattern string, show func(*visit) (ui.Page, error)) {
	d.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r = d.withSession(r)
		v, err := d.visit(w, r)
		if err != nil {
			d.fail(w, r, "", problemOf(err))
			return
		}
		shown, err := show(v)
		if err != nil {
			d.fail(w, v.r, v.user.Name, problemOf(err))
			return
		}
		frame := d.frame(w, v.r, shown.Title)
		frame.User, frame.Section, frame.Live = v.user.Name, shown.Section, shown.Live
		d.render(w, v.r, http.StatusOK, ui.Layout(frame, shown.Body(frame)))
	})
}

// frame is what every page has around its content.
func (d *Dashboard) frame(w http.ResponseWriter, r *http.Request, title string) ui.Frame {
	return ui.Frame{
		Base: d.config.BasePath, Static: d.static.names, Title: title, Theme: themeOf(r), Here: r.URL.RequestURI(), Version: d.config.Version,
		FormToken: d.sessions.FormToken(w, r), Now: d.config.Clock.Now(), SignedIn: d.sessions.Has(r),
	}
}

// ask asks the API, as the user of a visit.
func ask[T any](v *visit, query url.Values, segments ...string) (answer T, err error) {
	address := apiPath(segments)
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return answerOf[T](v, http.MethodGet, address, nil)
}

// tell has the API do something, as the user of a visit.
func tell[T any](v *visit, body any, segments ...string) (answer T, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return answer, fmt.Errorf("encode what the API is to do: %w", err)
	}
	return answerOf[T](v, http.MethodPost, apiPath(segments), text)
}

// tellOnce has the API do something that needs no body, once for a key.
func tellOnce[T any](v *visit, key string, segments ...string) (T, error) {
	once := *v
	once.r = v.r.Clone(v.r.Context())
	once.r.Header.Set(onceHeader, key)
	return answerOf[T](&once, http.MethodPost, apiPath(segments), nil)
}

// tellAt has the API do something that needs no body, with parameters.
func (v *visit) tellAt(query url.Values, segments ...string) error {
	_, err := answerOf[struct{}](v, http.MethodPost, apiPath(segments)+"?"+query.Encode(), nil)
	return err
}

// onceHeader is the header by which the API knows a request again.
const onceHeader = "Idempotency-Key"

func apiPath(segments []string) string {
	address := "/api/v1"
	for _, segment := range segments {
		address += "/" + url.PathEscape(segment)
	}
	return address
}

func answerOf[T any](v *visit, method, address string, body []byte) (answer T, err error) {
	request, err := v.request(v.r.Context(), method, address, body)
	if err != nil {
		return answer, err
	}
	got := &recorder{header: http.Header{}}
	v.config.API.ServeHTTP(got, request)
	if got.status >= 300 && got.status < 400 {
		return answer, noPage // a name such as .. is none
	}
	if got.status != http.StatusOK && got.status != 0 {
		return answer, got.problem()
	}
	if err := json.Unmarshal(got.body.Bytes(), &answer); err != nil {
		return answer, fmt.Errorf("decode the answer of %s: %w", address, err)
	}
	return answer, nil
}

// request is one to the API, whose context knows the user.
func (v *visit) request(ctx context.Context, method, address string, body []byte) (*http.Request, error) {
	request, err := http.NewRequestWithContext(identity.With(ctx, v.user), method, address, bytes.NewReader(body)) //nolint:gosec // a handler of this process answers it
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	request.RemoteAddr, request.TLS, request.RequestURI = v.r.RemoteAddr, v.r.TLS, address
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, values := range v.r.Header {
		if name == "Authorization" || name == "Last-Event-Id" || name == onceHeader || strings.HasPrefix(name, "Impersonate-") {
			request.Header[name] = values // a stream identifies its user again
		}
	}
	return api.WithRequest(request), nil
}

// recorder keeps an answer of the API.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(text []byte) (int, error) { return r.body.Write(text) }

func (r *recorder) problem() error {
	told := &Problem{Status: r.status, RetryAfter: r.header.Get("Retry-After")}
	var body struct {
		Detail string `json:"detail"`
		Errors []struct{ Message, Location string }
	}
	if json.Unmarshal(r.body.Bytes(), &body) == nil {
		told.Detail = body.Detail
	}
	for _, one := range body.Errors {
		told.Detail += "; " + one.Location + ": " + one.Message
	}
	return told
}
