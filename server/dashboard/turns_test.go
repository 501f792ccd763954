package dashboard

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/penstock-cd/penstock/server/dashboard/ui"
)

func TestPagesBeyondTheMostAtOnceWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &Dashboard{config: Config{RetryAfter: 5 * time.Second}, turns: semaphore.NewWeighted(2)}
		var begun atomic.Int64
		ends := make(chan struct{})
		show := d.inTurn(func(*visit) (ui.Page, error) {
			begun.Add(1)
			<-ends
			return ui.Page{}, nil
		})
		var asked sync.WaitGroup
		var refused atomic.Pointer[Problem]
		for range 5 {
			asked.Go(func() {
				if _, err := show(&visit{Dashboard: d, r: httptest.NewRequest(http.MethodGet, "/", http.NoBody)}); err != nil {
					refused.Store(problemOf(err))
				}
			})
		}
		synctest.Wait()
		require.EqualValues(t, 2, begun.Load())
		ends <- struct{}{}
		ends <- struct{}{}
		synctest.Wait()
		require.EqualValues(t, 4, begun.Load(), "one that ends gives its turn to the next")
		time.Sleep(turnTimeout)
		synctest.Wait()
		require.EqualValues(t, 4, begun.Load())
		told := refused.Load()
		require.NotNil(t, told, "who waits for too long is told to come back")
		require.Equal(t, http.StatusServiceUnavailable, told.Status)
		require.Equal(t, "5", told.RetryAfter)
		close(ends)
		asked.Wait()
	})
}
