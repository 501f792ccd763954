package session

import (
	"net/http"
	"time"
)

// flowCookie is the suffix of the cookie that holds a sign-in under way.
const flowCookie = "flow"

// KeepFlow has the browser keep a sign-in that is under way, for so long. It takes the place of
// an earlier one.
func (k *Keeper) KeepFlow(w http.ResponseWriter, flow any, lifetime time.Duration) error {
	value, err := k.seal(purposeFlow, flow)
	if err != nil {
		return err
	}
	cookie := k.cookie(flowCookie, value) //nolint:gosec // it has all three
	cookie.MaxAge = int(lifetime / time.Second)
	http.SetCookie(w, cookie)
	return nil
}

// TakeFlow reads the sign-in that the browser keeps, and has the browser forget it: it counts
// once. It tells whether there is one.
func (k *Keeper) TakeFlow(w http.ResponseWriter, r *http.Request, into any) bool {
	cookie, err := r.Cookie(name + flowCookie)
	if err != nil {
		return false
	}
	http.SetCookie(w, k.cookie(flowCookie, ""))
	return k.unseal(purposeFlow, cookie.Value, into) == nil
}
