// Package retryafter reads the header by which a server says when to come back.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Parse returns for how long a Retry-After header asks to wait (RFC 9110, 10.2.3: seconds or a
// date), at most for most. Where it is missing, in the past or unreadable, that is otherwise.
func Parse(value string, now time.Time, otherwise, most time.Duration) time.Duration {
	wait := time.Duration(0)
	if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	if seconds, err := strconv.Atoi(value); err == nil {
		// Bounded before it is multiplied, where it could overflow.
		wait = time.Duration(min(max(seconds, 0), int(most/time.Second))) * time.Second
	}
	if wait <= 0 {
		wait = otherwise
	}
	return min(wait, most)
}
