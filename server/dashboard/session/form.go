package session

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
)

const (
	// formCookie is the suffix of the cookie that forms are signed for.
	formCookie = "form"
	// FormField is the field of every form that holds its token.
	FormField = "csrf"
)

// FormToken is what a form sends back. It makes the cookie that belongs to it where the
// browser has none.
func (k *Keeper) FormToken(w http.ResponseWriter, r *http.Request) string {
	cookie, err := r.Cookie(name + formCookie)
	if err == nil && cookie.Value != "" {
		return k.sign(cookie.Value, chunks(r))
	}
	fresh := k.cookie(formCookie, rand.Text())
	http.SetCookie(w, fresh)
	return k.sign(fresh.Value, chunks(r))
}

// IsForm tells whether a form was sent by a page that this browser was given in this
// session.
func (k *Keeper) IsForm(r *http.Request) bool {
	cookie, err := r.Cookie(name + formCookie)
	if err != nil || cookie.Value == "" {
		return false
	}
	want := k.sign(cookie.Value, chunks(r))
	return want != "" && hmac.Equal([]byte(want), []byte(r.PostFormValue(FormField)))
}

// sign is empty while there is no key.
func (k *Keeper) sign(nonce, session string) string {
	keys, err := k.current()
	if err != nil {
		return ""
	}
	sum := hmac.New(sha256.New, keys.forms)
	sum.Write([]byte(nonce + "\x00" + session))
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}
