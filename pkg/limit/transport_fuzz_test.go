package limit_test

import (
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/limit"
)

// FuzzRetryAfter gives any text as the header of a 429: the pause is what the model
// reads there.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "1", "7", "30", "31", "3600", "-5", "+7", "007", " 7", "7 ", "7.5", "1e3", "0x10", "soon", "\xff", "٧",
		"9223372036854775807", "9223372036854775808", "-9223372036854775809", "99999999999999999999999999",
		"Fri, 31 Dec 1999 23:59:59 GMT", "Sat, 01 Jan 2000 00:00:08 GMT", "Saturday, 01-Jan-00 00:00:08 GMT", "Sat Jan  1 00:00:08 2000",
		"Sat, 01 Jan 2000 00:01:00 GMT", "Mon, 01 Jan 9999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT", "Sat, 01 Jan 2000 00:00:08 CET",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		synctest.Test(t, func(t *testing.T) { requirePause(t, header) })
	})
}

func requirePause(t *testing.T, header string) {
	bucket := limit.NewBucket(50, 10)
	answer := &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {header}}}
	transport := bucket.WrapTransport(roundTrip(func(*http.Request) (*http.Response, error) { return answer, nil }))
	began := time.Now()
	response, err := transport.RoundTrip(nil)
	require.NoError(t, err)
	require.Same(t, answer, response)
	bucket.Trigger(cd).Accept()
	require.Equal(t, pauseOf(header, began), time.Since(began))
}

var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+$`)

// pauseOf is the model: seconds or a date, 1 s where there is neither or it is no
// pause, 30 s at most; a number that no int64 holds counts as unreadable.
func pauseOf(header string, now time.Time) time.Duration {
	const unreadable, most = time.Second, 30 * time.Second
	if date, err := http.ParseTime(header); err == nil {
		return within(new(big.Int).Sub(nanoseconds(date), nanoseconds(now)), unreadable, most)
	}
	if !wholeNumber.MatchString(header) {
		return unreadable
	}
	seconds, _ := new(big.Int).SetString(strings.TrimPrefix(header, "+"), 10)
	if !seconds.IsInt64() {
		return unreadable
	}
	return within(seconds.Mul(seconds, big.NewInt(int64(time.Second))), unreadable, most)
}

// nanoseconds since 1970, also of years that time.Duration cannot reach.
func nanoseconds(at time.Time) *big.Int {
	seconds := new(big.Int).Mul(big.NewInt(at.Unix()), big.NewInt(int64(time.Second)))
	return seconds.Add(seconds, big.NewInt(int64(at.Nanosecond())))
}

func within(wait *big.Int, unreadable, most time.Duration) time.Duration {
	if wait.Sign() <= 0 {
		return unreadable
	}
	if wait.Cmp(big.NewInt(int64(most))) > 0 {
		return most
	}
	return time.Duration(wait.Int64())
}
