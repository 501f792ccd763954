package dispatch

import (
	"context"
	"time"
)

// claimEnding takes what is to be ended or held while the backlog gate lets nothing in: that
// creates no Workflow, and nobody should wait for it until the gate opens.
func (d *Dispatcher) claimEnding(ctx context.Context, life *life, most int) ([]task, error) {
	// Taken before the request, as for any claim.
	claimed := time.Now()
	claims, err := d.Queue.ClaimEnding(ctx, d.Lane, d.Worker.name, most, d.Lease)
	d.setBusy(len(claims) > 0 || d.pool.InFlight() > 0)
	return d.tasksOf(claims, life, claimed), err
}
