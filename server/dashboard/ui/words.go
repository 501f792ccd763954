package ui

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// shortUser is the last part of a service account's name, which is long.
func shortUser(name string) string {
	if account, found := strings.CutPrefix(name, "system:serviceaccount:"); found {
		return strings.Replace(account, ":", "/", 1)
	}
	return name
}

func statusText(status int) string { return strconv.Itoa(status) }

func trimSlash(path string) string { return strings.TrimPrefix(path, "/") }

// failureTitle is what a status means to a person.
func failureTitle(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "You are not signed in"
	case http.StatusForbidden:
		return "You may not see or do this"
	case http.StatusNotFound:
		return "There is nothing here"
	case http.StatusConflict:
		return "This can't be done now"
	case http.StatusUnprocessableEntity:
		return "This can't be done as it was asked for"
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "Penstock can't answer at the moment"
	case http.StatusInternalServerError:
		return "Something failed"
	}
	return http.StatusText(status)
}

// Ago is how long ago a time is, in its largest unit, as people say it.
func Ago(now, at time.Time) string {
	past := now.Sub(at)
	if past < 0 {
		return "in " + Span(-past)
	}
	if past < time.Second {
		return "just now"
	}
	return Span(past) + " ago"
}

// Span is a duration in its two largest units.
func Span(d time.Duration) string {
	d = d.Round(time.Second)
	days, hours, minutes, seconds := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days >= 10:
		return fmt.Sprintf("%d d", days)
	case days > 0:
		return fmt.Sprintf("%d d %d h", days, hours)
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0 && seconds > 0 && minutes < 10:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	case minutes > 0:
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d s", seconds)
}

// shortDigest is as much of a digest as people compare.
func shortDigest(digest string) string {
	sum, found := strings.CutPrefix(digest, "sha256:")
	if !found || len(sum) <= 12 {
		return digest
	}
	return sum[:12]
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// many is a number and its noun.
func many(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// shorten keeps a text within so many characters.
func shorten(text string, most int) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:most-1]) + "…"
}
