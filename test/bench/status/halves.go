package status

import (
	"context"

	"github.com/penstock-cd/penstock/pkg/store"
	"github.com/penstock-cd/penstock/pkg/view"
)

// openHalves reads each half alone.
func openHalves(ctx context.Context, url string) (ci, cd func(context.Context) error, done func(), err error) {
	rows, err := store.Open(ctx, store.Config{URL: url, Schema: schema, MaxConns: 2, ReadOnly: true})
	if err != nil {
		return nil, nil, nil, err
	}
	reading := view.New(rows)
	ci = func(ctx context.Context) error { _, err := reading.CiHalf(ctx, namespace, "app-1", 500); return err }
	cd = func(ctx context.Context) error { _, err := reading.CdHalf(ctx, namespace, "app-1", 500); return err }
	return ci, cd, rows.Close, nil
}
