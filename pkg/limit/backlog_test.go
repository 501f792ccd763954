package limit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestABacklogGateLetsInWhatFitsUnderItsLimit(t *testing.T) {
	t.Parallel()
	told := 0
	gate := NewBacklog(10, func() { told++ })
	for _, step := range []struct {
		wanted, active, room int
		closed               bool
	}{
		{wanted: 5, active: 0, room: 5},
		{wanted: 5, active: 7, room: 3},
		{wanted: 5, active: 10, room: 0, closed: true},
		{wanted: 5, active: 12, room: 0, closed: true},
		{wanted: 5, active: 9, room: 1, closed: true}, // it doesn't flutter with each that ends
		{wanted: 5, active: 5, room: 5},
		{wanted: 5, active: 8, room: 2},
	} {
		require.Equal(t, step.room, gate.Room(step.wanted, step.active), "%+v", step)
		closed, active, limit := gate.Closed()
		require.Equal(t, step.closed, closed, "%+v", step)
		require.Equal(t, step.active, active)
		require.Equal(t, 10, limit)
	}
	require.Equal(t, 2, told, "once closed and once opened")
}

func TestABacklogGateOpensWhenNothingWaitsOrTheLimitIsLifted(t *testing.T) {
	t.Parallel()
	shut := func() *Backlog {
		gate := NewBacklog(1, func() {})
		require.Zero(t, gate.Room(5, 1))
		return gate
	}
	drained := shut()
	drained.Drained()
	closed, _, _ := drained.Closed()
	require.False(t, closed)

	lifted := shut()
	lifted.SetLimit(0)
	closed, _, _ = lifted.Closed()
	require.False(t, closed)
	require.Equal(t, 5, lifted.Room(5, 1_000))

	raised := shut()
	raised.SetLimit(100)
	require.Equal(t, 5, raised.Room(5, 1))
	require.Equal(t, 100, raised.Limit())
}
