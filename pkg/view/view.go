// Package view reads from Postgres what `penstock server` shows, and writes nothing.
package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/store/dbsqlc"
)

// Timeout bounds each method of View, waiting for a connection included, so that a
// database that does not answer costs a caller no more than this.
const Timeout = 3 * time.Second

// maxNamespaces bounds what Namespaces returns.
const maxNamespaces = 1001

// ErrNotFound means that nothing of that name or number is recorded.
var ErrNotFound = errors.New("not found")

// Scope is the namespaces that a caller may see. The zero value is none.
type Scope struct {
	// All means every namespace, whatever Namespaces has.
	All        bool
	Namespaces []string
}

// Has tells whether the scope includes a namespace.
func (s Scope) Has(namespace string) bool {
	if s.All {
		return true
	}
	for _, one := range s.Namespaces {
		if one == namespace {
			return true
		}
	}
	return false
}

// And returns the namespaces that both scopes include.
func (s Scope) And(other Scope) Scope {
	if s.All {
		return other
	}
	if other.All {
		return s
	}
	both := Scope{}
	for _, one := range s.Namespaces {
		if other.Has(one) {
			both.Namespaces = append(both.Namespaces, one)
		}
	}
	return both
}

// names is never nil, which would be NULL.
func (s Scope) names() []string { return append([]string{}, s.Namespaces...) }

// View reads the tables. It is safe for concurrent use. Each method takes one connection
// of the store's pool at a time. Its errors, other than ErrNotFound, are those of the
// database: it is away, too slow, or refuses a value (see store.IsInvalid).
type View struct{ queries *dbsqlc.Queries }

// New returns a view of a store's tables.
func New(rows *store.Store) *View { return &View{queries: dbsqlc.New(rows.Pool())} }

// Namespaces returns the namespaces that have, or had, a pipeline or a base image, sorted, at most
// 1,001.
func (v *View) Namespaces(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	names, err := v.queries.ViewNamespaces(ctx, maxNamespaces)
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	return names, nil
}

// at returns nil for a time that is not there, or that is not known.
func at(stamp pgtype.Timestamptz) *time.Time {
	if !stamp.Valid || stamp.InfinityModifier != pgtype.Finite {
		return nil
	}
	utc := stamp.Time.UTC()
	return &utc
}

// when is the zero time for a time that is not there.
func when(stamp pgtype.Timestamptz) time.Time {
	if known := at(stamp); known != nil {
		return *known
	}
	return time.Time{}
}

// only returns the one row of a query, or ErrNotFound.
func only[T any](rows []T, err error) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	if len(rows) == 0 {
		return none, ErrNotFound
	}
	return rows[0], nil
}

// most is a bound of a query. Callers ask for at most a few thousand rows.
func most(limit int) int32 { return int32(min(limit, 1<<20)) } //nolint:gosec // bounded in the same expression
