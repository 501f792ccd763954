package dashboard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

const (
	// openAtOnce is how many pages are opened at once, each within openTimeout.
	openAtOnce  = 8
	openTimeout = time.Minute
	// awaitPatience bounds the wait until all pages show what has happened, and look is how often
	// they are looked at.
	awaitPatience, look = 2 * time.Minute, 100 * time.Millisecond
	// fetchTimeout bounds one fetch of a page; the answer of a stream has no bound.
	fetchTimeout = 30 * time.Second
	// shownMost is how many pages an error names.
	shownMost = 5
)

// browsers have the pages of all users. The cookies of one user are in one jar, and each page has
// a connection of its own.
type browsers struct {
	setup
	roots *x509.CertPool
	jars  []*cookiejar.Jar

	pages  []*page
	cancel context.CancelFunc
	follow sync.WaitGroup
}

func newBrowsers(given setup) *browsers {
	b := &browsers{setup: given, roots: x509.NewCertPool(), cancel: func() {}}
	b.roots.AppendCertsFromPEM(given.CA)
	return b
}

func (b *browsers) do(ctx context.Context, one job) (figures, error) {
	switch one.Do {
	case "open":
		return figures{}, b.open(ctx)
	case "reset":
		for _, page := range b.pages {
			page.reset()
		}
		return figures{}, nil
	case "await":
		return b.await(ctx, one.Build)
	case "close":
		b.close()
		return figures{}, nil
	}
	return figures{}, fmt.Errorf("there is no job %q", one.Do)
}

// open opens every page, after its user has signed in, and returns when each has its stream.
func (b *browsers) open(ctx context.Context) error {
	if err := b.signIn(ctx); err != nil {
		return err
	}
	// Pages live as long as they are open, not as long as they are being opened.
	living, cancel := context.WithCancel(ctx)
	b.cancel = cancel
	b.pages = make([]*page, len(b.Pages))
	for i, address := range b.Pages {
		b.pages[i] = newPage(b.URL, address, b.client(address.User))
	}
	return errors.Join(bounded.ForEach(ctx, openAtOnce, openTimeout, b.pages, func(ctx context.Context, p *page) error {
		if err := p.load(ctx); err != nil {
			return err
		}
		b.follow.Go(func() { p.live(living) })
		select {
		case <-p.opened:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("page of %s has no stream: %w", p.Application, ctx.Err())
		}
	})...)
}

// signIn has every user sign in who has not yet.
func (b *browsers) signIn(ctx context.Context) error {
	for _, token := range b.Tokens[len(b.jars):] {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return err
		}
		b.jars = append(b.jars, jar)
		through := b.client(len(b.jars) - 1)
		err = signIn(ctx, through, b.URL, token)
		through.CloseIdleConnections()
		if err != nil {
			return err
		}
	}
	return nil
}

// client has one connection, over HTTP/2 as browsers have.
func (b *browsers) client(user int) *http.Client {
	return &http.Client{Jar: b.jars[user], Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.roots}, ForceAttemptHTTP2: true}}
}

// await returns the figures when every page was updated and shows the run of a build.
func (b *browsers) await(ctx context.Context, build string) (figures, error) {
	var missing []string
	err := wait.PollUntilContextTimeout(ctx, look, awaitPatience, true, func(context.Context) (bool, error) {
		missing = nil
		for _, page := range b.pages {
			if why := page.lacks(build); why != "" {
				missing = append(missing, page.Application+" "+why)
			}
		}
		return len(missing) == 0, nil
	})
	if err != nil {
		return figures{}, fmt.Errorf("%d pages do not show build %s, such as %q: %w", len(missing), build, missing[:min(len(missing), shownMost)], err)
	}
	var all figures
	for _, page := range b.pages {
		page.add(&all)
	}
	return all, nil
}

// close closes every page, and its connection.
func (b *browsers) close() {
	b.cancel()
	b.follow.Wait()
	for _, page := range b.pages {
		page.client.CloseIdleConnections()
	}
	b.pages = nil
}
