package chaos

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/env"
	"github.com/penstock-cd/penstock/test/sender"
	"github.com/penstock-cd/penstock/test/service"
	"github.com/penstock-cd/penstock/test/world"
)

// rolled is one server behind an address.
type rolled struct {
	*env.Server

	remove func()
}

// Two servers are behind one address, and are replaced one after the other, as a rolling update
// does, while webhooks come over connections that are kept. No sender needs to send anything
// again but where nobody took its connection.
func TestARollingRestartOfTheServersLosesNoWebhookAndDoublesNone(t *testing.T) {
	h, deliveries := newHooked(t), sized(1200, 300)
	h.mayServe()
	h.Start()
	front, err := service.Listen()
	require.NoError(t, err)
	defer front.Close()
	servers := []*rolled{h.roll(front, "a-0"), h.roll(front, "b-0")}
	// A connection each: of a pool, some would rest for longer than a server drains, and may be closed
	// at the moment at which they are used again, which HTTP/1.1 can't prevent.
	var clients []*http.Client
	for n := range 16 {
		clients = append(clients, sender.NewClient(servers[0].Roots(), n%2 == 1, 1))
		defer clients[n].CloseIdleConnections()
	}
	stream := h.streamTo(front.Address(), len(clients), 16*20*time.Second/time.Duration(deliveries), clients...)
	for n, old := range servers {
		came := stream.sent()
		replacement := h.roll(front, fmt.Sprintf("%c-1", 'a'+n))
		require.NoError(t, old.Stop())
		old.remove()
		require.Greater(t, stream.sent(), came, "webhooks came meanwhile")
		servers[n] = replacement
	}
	within(t, 2*world.Patience, "all were sent", func(context.Context) bool { return stream.sent() >= deliveries })
	stream.end()
	t.Logf("%d deliveries were accepted; %d times nobody took a connection", stream.sent(), stream.refused)
	require.Empty(t, stream.faults, "a request was not answered with 202")
	h.workedOff()
	stream.keptOnce()
	h.builtOnce(stream.pushes, stream.reports)
	h.Judge()
}

// roll starts a server behind an address.
func (h *hooked) roll(front *service.Service, name string) *rolled {
	h.t.Helper()
	server := h.serve(name, "penstock-race", "GORACE=halt_on_error=1")
	return &rolled{Server: server, remove: front.Add(server.HooksAddress(), server.URL+"/readyz", server.Roots())}
}
