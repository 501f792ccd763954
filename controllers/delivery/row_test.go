package delivery

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A thousand pushes to one repository need not each be looked for among all that is open.
func TestAWorkerGoesOnInItsRepositoryUntilOthersHaveTheirTurn(t *testing.T) {
	t.Parallel()
	s := newScene(t, github(), pipeline("shop", "https://github.com/team/shop", "main"))
	for range inRow + 1 {
		s.push("refs/heads/dev")
	}
	worker := s.worker()
	open := func() (open int) {
		require.NoError(t, s.rows.Pool().QueryRow(t.Context(), "SELECT count(*) FROM webhook_delivery WHERE status = 'Received'").Scan(&open))
		return open
	}
	for _, left := range []int{1, 0} {
		_, err := worker.runOnce(t.Context())
		require.NoError(t, err)
		worker.working.Wait()
		require.Equal(t, left, open())
	}
	var ids []int64
	rows, err := s.rows.Pool().Query(t.Context(), "SELECT id FROM webhook_delivery ORDER BY finished_at, id")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var id int64
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.IsIncreasing(t, ids, fmt.Sprint("in their order: ", ids))
}
