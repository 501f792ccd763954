package dashboard

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

// turnTimeout is how long a page waits for its turn.
const turnTimeout = 15 * time.Second

// inTurn makes so many pages at once as there are connections to Postgres for, and has the others
// wait. When something happens that a thousand open pages show, all of them are asked for at the
// same moment: made at once, they would wait for connections until their statements time out.
// Pages that wait for clusters take no turn, so that they hold up no others.
func (d *Dashboard) inTurn(show func(*visit) (ui.Page, error)) func(*visit) (ui.Page, error) {
	return func(v *visit) (ui.Page, error) {
		ctx, cancel := context.WithTimeout(v.r.Context(), turnTimeout)
		defer cancel()
		if err := d.turns.Acquire(ctx, 1); err != nil {
			return ui.Page{}, &Problem{
				Status: http.StatusServiceUnavailable, Detail: "More pages are asked for than the server can make. Try again later.",
				RetryAfter: strconv.Itoa(int(d.config.RetryAfter.Seconds())),
			}
		}
		defer d.turns.Release(1)
		return show(v)
	}
}
