package resources

import (
	"container/list"
	"sync"
	"time"

	"github.com/penstock-cd/penstock/pkg/fleet/table"
)

// entryOverhead is about what an entry takes beside its page, in bytes.
const entryOverhead = 512

// entry is what is known of one list.
type entry struct {
	key  key
	page *table.Page // nil where it was never read
	// err is why it could not be read last, until it is read; before retryAt it is not
	// tried again.
	err     error
	retryAt time.Time
	size    int
	place   *list.Element
}

// cache is what clusters answered, the lately used before the others, up to so many bytes.
type cache struct {
	most              int
	freshFor, keepFor time.Duration

	mu      sync.Mutex
	bytes   int
	entries map[key]*entry
	used    *list.List // of *entry, the last used first
}

func newCache(most int, freshFor, keepFor time.Duration) *cache {
	return &cache{most: most, freshFor: freshFor, keepFor: keepFor, entries: map[key]*entry{}, used: list.New()}
}

// found is a copy of an entry.
type found struct {
	page *table.Page
	err  error
	// isDue is true where it should be read anew.
	isDue bool
}

func (c *cache) get(of key, now time.Time) found {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[of]
	if e == nil {
		return found{isDue: true}
	}
	if e.page != nil && now.Sub(e.page.ReadAt) > c.keepFor {
		c.resize(e, nil)
	}
	c.used.MoveToFront(e.place)
	isFresh := e.page != nil && now.Sub(e.page.ReadAt) <= c.freshFor
	if isFresh && e.err == nil {
		return found{page: e.page}
	}
	return found{page: e.page, err: e.err, isDue: e.err == nil || now.After(e.retryAt)}
}

// put keeps a page, and forgets those that were not used for the longest time. One that
// alone is larger than the bound is not kept.
func (c *cache) put(of key, page *table.Page, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(of)
	e.err, e.retryAt = nil, time.Time{}
	c.resize(e, page)
	c.shrink()
}

// fail keeps why a list could not be read, beside what was read before.
func (c *cache) fail(of key, err error, retryAt, _ time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(of)
	e.err, e.retryAt = err, retryAt
	c.shrink()
}

func (c *cache) entry(of key) *entry {
	e := c.entries[of]
	if e == nil {
		e = &entry{key: of}
		e.place = c.used.PushFront(e)
		c.entries[of] = e
		c.resize(e, nil)
	}
	return e
}

func (c *cache) resize(e *entry, page *table.Page) {
	c.bytes -= e.size
	e.page, e.size = page, entryOverhead
	if page != nil {
		e.size += page.Bytes
	}
	c.bytes += e.size
}

func (c *cache) shrink() {
	for c.bytes > c.most && c.used.Len() > 0 {
		last := c.used.Back()
		e := last.Value.(*entry)
		c.used.Remove(last)
		delete(c.entries, e.key)
		c.bytes -= e.size
	}
}

// Stats are figures for metrics.
type Stats struct {
	Bytes, Entries int
}

// Stats returns how much is in the cache.
func (l *Lister) Stats() Stats {
	l.cache.mu.Lock()
	defer l.cache.mu.Unlock()
	return Stats{Bytes: l.cache.bytes, Entries: len(l.cache.entries)}
}
