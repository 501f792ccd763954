package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/store"
)

// rows writes what the controller writes of what comes from outside: waves of base images in
// registries, webhooks and notifications.
func (s *stage) rows(t *testing.T) *store.Store {
	t.Helper()
	rows, err := store.Open(t.Context(), store.Config{URL: local.DatabaseURL, Schema: "penstock", MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(rows.Close)
	return rows
}

func addWave(t *testing.T, rows *store.Store) {
	t.Helper()
	states := []string{"Succeeded", "Failed", "Building", "Pending", "Deferred", "Skipped"}
	for _, statement := range []string{
		`INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, digest, wave) VALUES ('java', 'shop', 'java', 'example.org/java:21', 'example.org/java', '21', 'sha256:5d3f1f0c9f1e77aa', 7)`,
		`INSERT INTO wave (image_uid, number, digest, state, message) VALUES ('java', 7, 'sha256:5d3f1f0c9f1e77aa', 'Stopped', 'more than 10 builds have failed: retry or cancel the wave')`,
	} {
		_, err := rows.Pool().Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	for i := range 60 {
		_, err := rows.Pool().Exec(t.Context(), `INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, state, message) VALUES ('java', 7, $1, 'shop', $1, $1||'-w7', $2, '')`,
			fmt.Sprintf("service-%02d", i), states[i%len(states)])
		require.NoError(t, err)
	}
}

func addMessages(t *testing.T, rows *store.Store) (delivery int64) {
	t.Helper()
	for i := range 60 {
		body, err := json.Marshal(map[string]string{"ref": "refs/heads/main", "title": markup, "after": fmt.Sprint(i)})
		require.NoError(t, err)
		delivery, _, err = rows.AddDelivery(t.Context(), store.WebhookDelivery{
			Namespace: shopNamespace, Receiver: "github", ReceiverUID: "uid", DeliveryID: fmt.Sprintf("%s-%d", markup, i), Type: "github", Event: "push",
			Header: http.Header{"X-Github-Event": {"push"}}, Body: body, Repository: "github.com/team/shop",
		})
		require.NoError(t, err)
		sent := time.Now()
		_, err = rows.Pool().Exec(t.Context(), `
			INSERT INTO notification (namespace, policy, channel, group_key, type, items, events, state, error, attempts, due_at, sent_at)
			VALUES ($1, 'deploys', 'ops', $2, 'Test', '[]', 1, $3, $4, 2, NULL, $5)`,
			shopNamespace, fmt.Sprint(i), []string{"Sent", "GivenUp"}[i%2], []string{"", "the receiver answers 403: " + markup}[i%2], sent)
		require.NoError(t, err)
	}
	return delivery
}

func TestPagesOfWavesDeliveriesAndNotifications(t *testing.T) {
	s := theStage(t)
	rows := s.rows(t)
	addWave(t, rows)
	delivery := addMessages(t, rows)
	b := s.open(t).signIn(s.reader)
	for _, one := range []look{
		{"images-many", "/images", []string{"java", "Stopped", "10 failed, 10 succeeded, 10 building", "wave 7"}},
		{"wave", "/images/shop/java/7", []string{"more than 10 builds have failed", "service-00", "Next page"}},
		{"wave-failed", "/images/shop/java/7?state=Failed", []string{"service-01"}},
		{"deliveries-many", "/deliveries?namespace=shop", []string{"github.com/team/shop", "Next page", markup[:20]}},
		{"delivery", fmt.Sprintf("/deliveries/shop/%d", delivery), []string{"refs/heads/main", "X-Github-Event"}},
		{"notifications-many", "/notifications?namespace=shop", []string{"GivenUp", "Sent", markup, "Next page"}},
		{"notifications-failed", "/notifications?namespace=shop&failed=true", []string{"GivenUp"}},
	} {
		t.Run(one.name, func(t *testing.T) {
			b := b.within(t)
			for _, theme := range []string{"light", "dark"} {
				b.theme(theme).visit(one.path).screenshot(one.name + "-" + theme)
			}
			content := b.text()
			for _, text := range one.texts {
				require.Contains(t, content, text)
			}
			b.fits().accessible().size(390, 844).fits().size(wide, high)
		})
	}
	b.quiet()
}
