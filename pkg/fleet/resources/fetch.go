package resources

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/penstock-cd/penstock/pkg/fleet"
	"github.com/penstock-cd/penstock/pkg/fleet/table"
)

const (
	// chunk is how many objects are asked for in one request.
	chunk = 500
	// failedFor is for how long a cluster that has failed is not asked the same again.
	failedFor = 3 * time.Second
)

// key is one list: equal ones are read once.
type key struct {
	cluster             string
	uid                 types.UID
	kind                fleet.Kind
	namespace, selector string
	most                int
}

// fetch reads a list, page by page, up to the bound for one cluster.
func (l *Lister) fetch(ctx context.Context, of key) (*table.Page, error) {
	client, err := l.config.Clients.Client(ctx, of.cluster)
	if err != nil {
		return nil, err
	}
	resource, err := client.Resolve(ctx, of.kind)
	if err != nil {
		return nil, err
	}
	if of.namespace != "" && !resource.Namespaced {
		return nil, fmt.Errorf("%s are in no namespace: ask for all namespaces (-A), which takes the right to list in all", of.kind)
	}
	page := &table.Page{}
	for {
		if err := readPage(ctx, client, resource, of, page); err != nil {
			return nil, err
		}
		if page.Continue == "" || len(page.Rows) >= of.most {
			page.Finish(time.Now())
			return page, nil
		}
	}
}

func readPage(ctx context.Context, client *fleet.Client, resource fleet.Resource, of key, page *table.Page) error {
	query := url.Values{"limit": {strconv.Itoa(min(chunk, of.most-len(page.Rows)))}}
	if page.Continue != "" {
		query.Set("continue", page.Continue)
	}
	if of.selector != "" {
		query.Set("labelSelector", of.selector)
	}
	response, err := client.Do(ctx, http.MethodGet, resource.Path(of.namespace, ""), query, http.Header{"Accept": {table.Accept}}, nil)
	if err != nil {
		return notServed(of.kind, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := page.Read(response.Body, of.most); err != nil {
		return client.Failure(ctx, err)
	}
	return nil
}

// notServed is the error where the server knows no such path: the CRD was removed lately.
func notServed(kind fleet.Kind, err error) error {
	var failure *fleet.Failure
	if errors.As(err, &failure) && failure.Status == http.StatusNotFound {
		return fmt.Errorf("%w: %s", fleet.ErrNotServed, kind)
	}
	return err
}

// keep puts the end of a fetch into the cache.
func (l *Lister) keep(of key, page *table.Page, err error) {
	now := time.Now()
	if err == nil {
		l.cache.put(of, page, now)
		return
	}
	wait := failedFor
	var failure *fleet.Failure
	if errors.As(err, &failure) {
		wait = max(wait, failure.RetryAfter)
	}
	if !errors.Is(err, context.Canceled) {
		l.cache.fail(of, err, now.Add(wait), now)
	}
}
