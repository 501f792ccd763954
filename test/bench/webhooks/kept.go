package webhooks

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
)

// row is a delivery that is kept.
type row struct {
	id, number, status, outcome, body string
}

// kept is what there is when everything is worked off.
type kept struct {
	rows []row
	// builds is how many CiBuilds there are, and perNumber how many of each delivery.
	builds    int
	perNumber map[string]int
}

// awaitWorkedOff returns what is kept when nothing is left to do, or when that takes too long: what
// is left then counts as lost.
func (s *subject) awaitWorkedOff(ctx context.Context) (*kept, error) {
	connection, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }()
	err = wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		var open int
		err := connection.QueryRow(ctx, `SELECT count(*) FROM webhook_delivery WHERE status IN ('Received', 'Working')`).Scan(&open)
		return open == 0, err
	})
	if err != nil && !wait.Interrupted(err) {
		return nil, fmt.Errorf("wait until all is worked off: %w", err)
	}
	k := &kept{perNumber: map[string]int{}}
	if err := k.readRows(ctx, connection); err != nil {
		return nil, err
	}
	err = k.readBuilds(ctx, s.Client)
	return k, err
}

func (k *kept) readRows(ctx context.Context, connection *pgx.Conn) error {
	rows, err := connection.Query(ctx, `SELECT delivery_id, id::text, status, outcome, body_hash FROM webhook_delivery WHERE delivery_id <> 'first'`)
	if err != nil {
		return fmt.Errorf("read deliveries: %w", err)
	}
	var one row
	_, err = pgx.ForEachRow(rows, []any{&one.id, &one.number, &one.status, &one.outcome, &one.body}, func() error {
		k.rows = append(k.rows, one)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read deliveries: %w", err)
	}
	return nil
}

func (k *kept) readBuilds(ctx context.Context, reader client.Reader) error {
	var list v1alpha1.CiBuildList
	if err := reader.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("list CiBuilds: %w", err)
	}
	k.builds = len(list.Items)
	for i := range list.Items {
		k.perNumber[list.Items[i].Annotations[v1alpha1.AnnotationDelivery]]++
	}
	return nil
}

// lost counts deliveries that were accepted under a number of which there is no row, and rows
// that are not worked off, or whose build is missing.
func (k *kept) lost(numbers map[string]map[string]bool) (lost int) {
	byNumber := map[string]row{}
	for _, one := range k.rows {
		byNumber[one.number] = one
		if one.status != "Done" || (one.outcome == "Built") != (k.perNumber[one.number] > 0) {
			lost++
		}
	}
	for id, all := range numbers {
		for number := range all {
			if byNumber[number].id != id {
				lost++
			}
		}
	}
	return lost
}

// doubled counts what was kept, built or accepted more often than once.
func (k *kept) doubled(numbers map[string]map[string]bool) (doubled int) {
	seen := map[string]bool{}
	for _, one := range k.rows {
		for _, key := range []string{"id " + one.id, "body " + one.body} {
			if seen[key] {
				doubled++
			}
			seen[key] = true
		}
	}
	for _, builds := range k.perNumber {
		doubled += builds - 1
	}
	for _, all := range numbers {
		doubled += len(all) - 1
	}
	return doubled
}
