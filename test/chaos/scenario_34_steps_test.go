package chaos

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/failpoint"
	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/sender"
	"github.com/penstock-cd/penstock/test/world"
)

// deliverySteps are those of the controller, with what passes each.
func deliverySteps() []struct {
	name failpoint.Name
	kind v1alpha1.ReceiverType
} {
	return []struct {
		name failpoint.Name
		kind v1alpha1.ReceiverType
	}{
		{failpoint.DeliveryAfterClaim, v1alpha1.ReceiverGitHub}, {failpoint.DeliveryBeforeCreate, v1alpha1.ReceiverGitHub},
		{failpoint.DeliveryAfterCreate, v1alpha1.ReceiverGitHub}, {failpoint.DeliveryBeforeRecord, v1alpha1.ReceiverGitHub},
		{failpoint.DeliveryAfterRecord, v1alpha1.ReceiverGitHub},
		{failpoint.DeliveryAfterCreate, v1alpha1.ReceiverGeneric}, {failpoint.DeliveryAfterTell, v1alpha1.ReceiverGeneric},
		{failpoint.DeliveryBeforeRecord, v1alpha1.ReceiverGeneric}, {failpoint.DeliveryAfterCheck, v1alpha1.ReceiverDistribution},
	}
}

// Whenever the controller is killed, each delivery that was kept is worked off, and makes one
// build.
func TestAKillAtAnyStepOfADeliveryWorksItOffOnce(t *testing.T) {
	h := newHooked(t)
	sent := map[v1alpha1.ReceiverType]int{}
	for n, step := range deliverySteps() {
		controller := breaking(h.World, fmt.Sprintf("%s=1*kill", step.name))
		id := fmt.Sprintf("d-%d", n)
		h.keep(step.kind, map[v1alpha1.ReceiverType]sender.Delivery{
			v1alpha1.ReceiverGitHub:       sender.Push(id, "team/app-0", id),
			v1alpha1.ReceiverGeneric:      sender.Report(id, elsewhere, id, "succeeded"),
			v1alpha1.ReceiverDistribution: sender.Image(id, h.images, "base/go", "1"),
		}[step.kind])
		sent[step.kind]++
		require.True(t, killedWithin(t, controller, world.Patience), "%s is never passed", step.name)
	}
	h.Start()
	h.workedOff()
	h.builtOnce(sent[v1alpha1.ReceiverGitHub], sent[v1alpha1.ReceiverGeneric])
	require.Positive(t, h.Count("SELECT count(*) FROM webhook_delivery WHERE attempts > 1"), "no kill came while a delivery was worked off")
	h.Judge()
}

// A server that is killed before it has said that it kept a delivery is asked again, and so is
// another one; one that is killed after that has kept it.
func TestAKilledServerLosesNoWebhookAndDoublesNone(t *testing.T) {
	h := newHooked(t)
	h.mayServe()
	h.Start()
	for push, step := range []failpoint.Name{failpoint.HookBeforeInsert, failpoint.HookAfterInsert, failpoint.HookAfterInsert} {
		breaks := h.serve(fmt.Sprintf("breaks-%d", push), "penstock-failpoints", failpoint.Variable+"="+string(step)+"=1*kill")
		within(t, world.Patience, "the server is killed", func(ctx context.Context) bool {
			status, err := h.push(ctx, breaks, push)
			require.NotEqual(t, http.StatusAccepted, status, "it was to be killed before it answers")
			return err != nil
		})
		other := h.serve(fmt.Sprintf("other-%d", push), "penstock")
		within(t, world.Patience, "another server answers", func(ctx context.Context) bool {
			status, err := h.push(ctx, other, push)
			return err == nil && status == http.StatusAccepted
		})
		require.NoError(t, other.Kill(), "it has said that it kept the delivery")
	}
	h.workedOff()
	h.builtOnce(3, 0)
	require.Equal(t, 2, h.Count("SELECT count(*) FROM webhook_delivery WHERE repeats > 0"), "these were kept before the kill")
	h.Judge()
}

// push sends the n-th push over a connection of its own.
func (h *hooked) push(ctx context.Context, server *env.Server, n int) (status int, err error) {
	through := sender.NewClient(server.Roots(), false, 0)
	defer through.CloseIdleConnections()
	id := fmt.Sprintf("d-%d", n)
	answer, err := h.sender(v1alpha1.ReceiverGitHub, server.HooksURL, through).Send(ctx, sender.Push(id, "team/app-0", id))
	return answer.Status, err
}
