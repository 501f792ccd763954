package dashboard

import (
	"net/http"
	"time"
)

// themeCookie keeps light or dark. Without it the system's preference counts.
const themeCookie = "penstock-theme"

// themeLifetime is how long a browser keeps the choice.
const themeLifetime = 365 * 24 * time.Hour

func themeOf(r *http.Request) string {
	if cookie, err := r.Cookie(themeCookie); err == nil && (cookie.Value == "light" || cookie.Value == "dark") {
		return cookie.Value
	}
	return "auto"
}

func (d *Dashboard) setTheme(w http.ResponseWriter, r *http.Request) {
	cookie := &http.Cookie{
		Name: themeCookie, Value: r.PostFormValue("theme"), Path: d.config.BasePath, MaxAge: int(themeLifetime / time.Second),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if cookie.Value != "light" && cookie.Value != "dark" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, d.path(local(r.PostFormValue("next"))), http.StatusSeeOther)
}
