package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/identity"
)

const (
	// maxReason is how long the reason of a RunRequest may be.
	maxReason = 1024
	// maxAbout is how much of an object's name the name of a request about it begins with.
	maxAbout = 200
)

// answers are what somebody has filled in.
type answers struct {
	// nonce is that of the form: sent twice, it asks once.
	nonce  string
	reason string
	build  string
	value  string
	// version is that of the object that the form was about; empty where it does not matter.
	version string
	// generation is that of the object that the form was about; 0 where it does not matter.
	generation int64
	allowOlder bool
	// seen is when the object had changed last, as the form has shown it; zero where it does not matter.
	seen time.Time
}

func newNonce() string { return rand.Text() }

func answersOf(r *http.Request) (form answers, err error) {
	form = answers{
		nonce: r.PostFormValue("nonce"), reason: strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("reason"), "\r\n", "\n")),
		build: r.PostFormValue("build"), value: strings.TrimSpace(r.PostFormValue("value")), version: r.PostFormValue("version"), allowOlder: r.PostFormValue("allowOlder") == "true",
	}
	if text := r.PostFormValue("generation"); text != "" {
		form.generation, err = strconv.ParseInt(text, 10, 64)
	}
	if text := r.PostFormValue("seen"); text != "" && err == nil {
		form.seen, err = time.Parse(time.RFC3339Nano, text)
	}
	switch {
	case form.nonce == "" || err != nil:
		return form, &Problem{Status: http.StatusBadRequest, Detail: "The form is not complete, so nothing was done. Load it again and send it again."}
	case len([]rune(form.reason)) > maxReason:
		return form, &Problem{Status: http.StatusUnprocessableEntity, Detail: "The reason is longer than 1,024 characters, so nothing was done."}
	}
	return form, nil
}

// once is a text that is the same whenever the same user sends the same form.
func (a answers) once(user identity.User, action offer.Name, about offer.Subject) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{a.nonce, user.Name, string(action), about.Query().Encode()}, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// nameOf is the name of a RunRequest about an object.
func nameOf(object string, action offer.Name, once string) string {
	return strings.TrimRight(object[:min(len(object), maxAbout)], "-.") + "-" + string(action) + "-" + once
}
