package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// retry is after how long a browser connects again, as the server asks for.
const retry = 2 * time.Second

// errRefused means that there was no stream at all.
var errRefused = errors.New("the stream was refused")

// stream follows the page's stream until ctx ends, and connects again as an EventSource does.
func (p *page) stream(ctx context.Context) {
	id := ""
	for ctx.Err() == nil {
		err := p.follow(ctx, &id)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.seen.Lost++
		p.mu.Unlock()
		wait := retry
		if errors.Is(err, errRefused) {
			wait, id = again, ""
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// follow reads messages until the stream ends, and keeps the id of the last.
func (p *page) follow(ctx context.Context, id *string) error {
	address, err := p.liveURL()
	if err != nil {
		return errors.Join(err, errRefused)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	if *id != "" {
		request.Header.Set("Last-Event-Id", *id)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errRefused, response.Status)
	}
	return p.read(ctx, response.Body, id)
}

// read tells of the stream's beginning and of its events.
func (p *page) read(ctx context.Context, stream io.Reader, id *string) error {
	event, lines := "", bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	p.began()
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case field == "id":
			*id = value
		case field == "event":
			event = value
		case field == "data" && event == "problem":
			return fmt.Errorf("%w: %s", errRefused, value)
		case field == "data" && event == "event":
			var told struct{ At time.Time }
			if err := json.Unmarshal([]byte(value), &told); err != nil {
				return err
			}
			select {
			case p.changed <- told.At:
			case <-ctx.Done():
				return ctx.Err()
			}
		case field == "":
			event = ""
		}
	}
	return errors.Join(lines.Err(), io.EOF)
}

// began tells that the stream has begun, or begun again.
func (p *page) began() {
	select {
	case <-p.opened:
		select {
		case p.reconnected <- struct{}{}:
		default:
		}
	default:
		close(p.opened)
	}
}

// formToken is what a form of the dashboard sends back.
var formToken = regexp.MustCompile(`name="csrf" value="([^"]*)"`)

// signIn fills in the form of the dashboard, as a person does.
func signIn(ctx context.Context, client *http.Client, base, token string) error {
	text, err := fetch(ctx, client, base+"/sign-in")
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	found := formToken.FindStringSubmatch(text)
	if found == nil {
		return errors.New("sign in: the page has no form")
	}
	form := url.Values{"csrf": {found[1]}, "token": {token}, "next": {"/"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/sign-in", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("sign in: %s", response.Status)
	}
	return nil
}
