package chaos

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/sender"
	"github.com/penstock-cd/penstock/test/service"
)

// hookSteps are those of the server.
var hookSteps = []failpoint.Name{failpoint.HookBeforeInsert, failpoint.HookAfterInsert}

// Servers and controllers are killed one after the other while webhooks come, at a step or at any
// moment.
func TestKillsAtRandomLoseNoWebhookAndDoubleNone(t *testing.T) {
	random := newRandom(t)
	h, kills := newHooked(t), sized(100, 6)
	h.mayServe()
	front, err := service.Listen()
	require.NoError(t, err)
	defer front.Close()
	first := h.serve("first", "penstock")
	through := sender.NewClient(first.Roots(), false, 0)
	defer through.CloseIdleConnections()
	require.NoError(t, first.Stop())
	stream := h.streamTo(front.Address(), 3, 300*time.Millisecond, through)
	midway := 0
	for round := 0; round < kills/2 || midway == 0 || stream.sent() <= kills; round++ {
		require.Less(t, round, 5*kills, "no kill came while a delivery was worked off, or few were accepted")
		if h.killBoth(random, front, round) {
			midway++
		}
	}
	last := h.serve("last", "penstock")
	front.Add(last.HooksAddress(), last.URL+"/readyz", last.Roots())
	h.Start()
	stream.end()
	t.Logf("%d kills, %d of them while a delivery was worked off; %d deliveries were accepted, which %d times was not so at first", kills, midway, stream.sent(), len(stream.faults)+stream.refused)
	h.workedOff()
	stream.keptOnce()
	h.builtOnce(stream.pushes, stream.reports)
	require.Positive(t, h.Count("SELECT count(*) FROM webhook_delivery WHERE attempts > 1"), "no kill came while a delivery was worked off")
	h.Judge()
}

// killBoth starts a server and a controller, and kills both. It tells whether a delivery was worked
// off at that moment.
func (h *hooked) killBoth(random *rand.Rand, front *service.Service, round int) (midway bool) {
	h.t.Helper()
	steps := deliverySteps()
	at := steps[random.IntN(len(steps))].name
	controller := breaking(h.World, fmt.Sprintf("%s=%d*kill", at, 1+random.IntN(8)))
	step := hookSteps[random.IntN(len(hookSteps))]
	server := h.serve(fmt.Sprintf("killed-%d", round), "penstock-failpoints", fmt.Sprintf("%s=%s=%d*kill", failpoint.Variable, step, 1+random.IntN(12)))
	defer front.Add(server.HooksAddress(), server.URL+"/readyz", server.Roots())()
	midway = killedWithin(h.t, controller, time.Duration(500+random.IntN(3000))*time.Millisecond) && at != failpoint.DeliveryAfterRecord
	if !midway {
		require.NoError(h.t, controller.Kill())
	}
	require.NoError(h.t, server.Kill())
	return midway
}
