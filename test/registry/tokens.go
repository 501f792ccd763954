package registry

import (
	"fmt"
	"net/http"
	"sync/atomic"
)

// tokens are how a registry asks for bearer tokens.
type tokens struct {
	user, password string
	valid          atomic.Int64
}

// RequireToken has the registry ask for a bearer token, which its token server at /token gives
// to this user alone; to everybody where user is empty.
func (s *Server) RequireToken(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = &tokens{user: user, password: password}
}

// ExpireTokens makes every token invalid that was given out.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token.valid.Add(1)
}

func (k *tokens) bearer() string { return fmt.Sprintf("secret-bearer-%d", k.valid.Load()) }

// handle returns whether it has answered the request.
func (k *tokens) handle(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/token" {
		user, password, _ := r.BasicAuth()
		if k.user != "" && (user != k.user || password != k.password) {
			http.Error(w, `{"details":"incorrect username or password: `+password+`"}`, http.StatusUnauthorized)
			return true
		}
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, k.bearer())
		return true
	}
	if r.Header.Get("Authorization") == "Bearer "+k.bearer() {
		return false
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
	w.WriteHeader(http.StatusUnauthorized)
	return true
}
