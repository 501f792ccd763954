package dashboard

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// The times are those of server/dashboard/static/live.js.
const (
	// least is between two fetches of a page.
	least = time.Second
	// renewed is how often a page is fetched where nothing has happened: the ages it shows grow.
	renewed = 30 * time.Second
	// again is after how long a page is fetched that was refused, or a stream asked for that was.
	again = 5 * time.Second
)

var (
	// liveAddress is where a page says its stream is.
	liveAddress = regexp.MustCompile(` data-live="([^"]*)"`)
	// tag is what the text of a page has around its words.
	tag = regexp.MustCompile(`<[^>]*>`)
)

// page is one that is open.
type page struct {
	address
	base   string
	client *http.Client
	// opened is closed when the stream has begun; reconnected tells that it has begun again, and
	// changed when an event happened that it has told.
	opened      chan struct{}
	reconnected chan struct{}
	changed     chan time.Time

	mu   sync.Mutex
	text string // as it was fetched last
	seen figures
}

func newPage(base string, at address, client *http.Client) *page {
	return &page{
		address: at, base: base, client: client,
		opened: make(chan struct{}), reconnected: make(chan struct{}, 1), changed: make(chan time.Time, 1000),
	}
}

// live keeps the page up to date until ctx ends: at most one update a second, which shows all that
// has happened until it began.
func (p *page) live(ctx context.Context) {
	var streaming sync.WaitGroup
	defer streaming.Wait()
	streaming.Go(func() { p.stream(ctx) })
	grown := time.NewTicker(renewed)
	defer grown.Stop()
	next := time.NewTimer(least)
	defer next.Stop()
	next.Stop()
	planned, last := false, time.Time{}
	plan := func(wait time.Duration) {
		if !planned {
			planned = true
			next.Reset(max(wait, time.Until(last.Add(least))))
		}
	}
	var untold []time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-p.changed:
			untold = append(untold, at)
			plan(0)
		case <-p.reconnected:
			plan(0)
		case <-grown.C:
			plan(0)
		case <-next.C:
			planned, last = false, time.Now()
			untold = p.update(ctx, untold)
			if len(untold) > 0 {
				plan(again)
			}
		}
	}
}

// update fetches the page, and returns the events that it does not show because that has failed.
func (p *page) update(ctx context.Context, untold []time.Time) []time.Time {
	err := p.load(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		p.seen.Refused++
		return untold
	case len(untold) > 0:
		p.seen.Updates++
	}
	for _, at := range untold {
		p.seen.Took = append(p.seen.Took, time.Since(at))
	}
	return nil
}

// load fetches the page.
func (p *page) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	text, err := fetch(ctx, p.client, p.base+"/apps/"+namespace+"/"+p.Application)
	if err != nil {
		return fmt.Errorf("page of %s: %w", p.Application, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
	return nil
}

// fetch returns the text of a page that is there.
func fetch(ctx context.Context, client *http.Client, address string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", "text/html")
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", response.Status, strings.Join(strings.Fields(tag.ReplaceAllString(string(text), " ")), " ")))
	}
	return string(text), errors.Join(err, response.Body.Close())
}

// liveURL is that of the page's stream.
func (p *page) liveURL() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := liveAddress.FindStringSubmatch(p.text)
	if found == nil {
		return "", fmt.Errorf("page of %s names no stream", p.Application)
	}
	return p.base + html.UnescapeString(found[1]), nil
}

// reset forgets what was counted.
func (p *page) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = figures{}
}

// add adds what was counted.
func (p *page) add(to *figures) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to.Updates += p.seen.Updates
	to.Took = append(to.Took, p.seen.Took...)
	to.Refused += p.seen.Refused
	to.Lost += p.seen.Lost
}

// lacks tells why the page is not as it must be at last: updated, and showing that the run of a
// build has its Workflow. It is empty where nothing is missing.
func (p *page) lacks(build string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen.Updates == 0 {
		return "was not updated"
	}
	_, row, found := strings.Cut(p.text, ` data-key="run/`+p.Pipeline+`"`)
	row, _, _ = strings.Cut(row, "</tr>")
	if !found || !strings.Contains(row, `/builds/`+namespace+`/`+build+`"`) {
		return "shows another build"
	}
	if words := strings.Fields(tag.ReplaceAllString(row, " ")); !slices.Contains(words, "Submitted") {
		return fmt.Sprintf("shows no Workflow: %q", words)
	}
	return ""
}
