package server_test

import (
	"fmt"
	"html"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/notify/route"
)

func TestADeliveryIsWorkedOffAgainOnTheDashboard(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	id := s.delivered(t, s.namespace, "hook", "d1")
	path := fmt.Sprintf("/deliveries/%s/%d", s.namespace, id)
	b, _ := s.player(t, "penstock-redeliverer")
	require.Empty(t, b.open(t, path).offers(), "it is still to be worked off")
	_, err := s.rows.Pool().Exec(t.Context(), `UPDATE webhook_delivery SET status = 'Failed', outcome = 'Failed', finished_at = now() WHERE id = $1`, id)
	require.NoError(t, err)

	asked := b.open(t, b.open(t, path).offers()["Redeliver"])
	made := b.confirm(t, asked)
	require.Equal(t, http.StatusOK, made.status, made.text)
	require.NotEqual(t, path, made.address)
	require.Contains(t, made.text, fmt.Sprintf("delivery %d</a> worked off again", id))
	require.Equal(t, made.address, b.confirm(t, asked).address, "the second click leads to the same delivery")
	require.NotEqual(t, made.address, b.confirm(t, b.open(t, asked.address)).address, "a form that is loaded again asks again")

	denied, user := s.player(t)
	shown := denied.open(t, "/deliveries?namespace="+s.namespace)
	for _, refused := range []page{denied.open(t, asked.address), denied.send(t, shown, asked.address, "nonce", "n")} {
		require.Equal(t, http.StatusForbidden, refused.status)
		require.Contains(t, html.UnescapeString(refused.text), `user "`+user+`" may not update receivers.penstock.dev/deliveries`)
	}
}

func TestANotificationIsSentAgainOnTheDashboard(t *testing.T) {
	t.Parallel()
	s := newTheatre(t, nil)
	id := s.told(t, s.namespace, "ops", "pipeline/web", route.GivenUp, route.Item{Type: v1alpha1.EventRunFailed})
	path := "/notifications?namespace=" + s.namespace
	state := func() (state string) {
		require.NoError(t, s.rows.Pool().QueryRow(t.Context(), `SELECT state FROM notification WHERE id = $1`, id).Scan(&state))
		return state
	}
	b, _ := s.player(t, "penstock-notifier")
	asked := b.open(t, b.open(t, path).offers()["Send again"])
	require.Equal(t, "GivenUp", state(), "to look changes nothing")
	for range 2 { // the second click changes nothing
		again := b.confirm(t, asked)
		require.Equal(t, path, again.address)
		require.Equal(t, "Waiting", state())
		require.Empty(t, again.offers())
	}
	_, err := s.rows.Pool().Exec(t.Context(), `UPDATE notification SET state = 'Sent', due_at = NULL, changed_at = now() WHERE id = $1`, id)
	require.NoError(t, err)
	late := b.confirm(t, asked)
	require.Equal(t, http.StatusConflict, late.status)
	require.Contains(t, late.text, "since you have looked at it")
	require.Equal(t, "Sent", state(), "a form that was sent before does not send it a third time")

	denied, user := s.player(t)
	shown := denied.open(t, path)
	require.Empty(t, shown.offers())
	for _, refused := range []page{denied.open(t, asked.address), denied.send(t, shown, asked.address, "nonce", "n")} {
		require.Equal(t, http.StatusForbidden, refused.status)
		require.Contains(t, html.UnescapeString(refused.text), `user "`+user+`" may not update notifications.penstock.dev`)
	}
}
