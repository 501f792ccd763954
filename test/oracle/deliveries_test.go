package oracle_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
	"github.com/penstock-cd/penstock/test/oracle"
)

// shop is the build of delivery 1, with these changes.
func shop(changes ...func(*v1alpha1.CiBuild)) *v1alpha1.CiBuild {
	return given.CiBuild("shop-a", append([]func(*v1alpha1.CiBuild){madeFor("1"), func(build *v1alpha1.CiBuild) {
		build.Spec.PipelineRef.Name = "shop"
		build.CreationTimestamp = metav1.Now()
	}}, changes...)...)
}

// madeFor says for which delivery a build was made.
func madeFor(delivery string) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) {
		build.Annotations = map[string]string{v1alpha1.AnnotationDelivery: delivery}
	}
}

func called(name string) func(*v1alpha1.CiBuild) {
	return func(build *v1alpha1.CiBuild) { build.Name = name }
}

// last is a Receiver that tells this of delivery 1.
func last(message string) *v1alpha1.Receiver {
	receiver := given.Receiver("hook", v1alpha1.ReceiverGitHub)
	receiver.Status.LastDelivery = &v1alpha1.LastDelivery{ID: "1", Outcome: "Built", Message: message}
	return receiver
}

const (
	// keeps keeps a delivery that has built shop-a, as number 1.
	keeps = `INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, type, event, headers, body, repository, status, outcome, message, attempts, finished_at)
		VALUES ('r', 'default', 'hook', 'd-1', 'd-1', 'h-1', 'github', 'push', '{}', '', 'team/shop', 'Done', 'Built', 'Built shop-a', 1, now())`
	// repeats keeps it once more, as number 2.
	repeats = `INSERT INTO webhook_delivery (receiver_uid, namespace, receiver, delivery_id, origin, body_hash, type, event, headers, body, repository, status, outcome, message, attempts, received_at, finished_at)
		SELECT receiver_uid, namespace, receiver, 'd-2', 'd-2', 'h-2', type, event, headers, body, repository, status, 'NoMatch', 'NoMatch: branch dev', attempts, received_at + interval '1 minute', finished_at FROM webhook_delivery`
	// isRow is the row of its build.
	isRow = `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ('b', 'default', 'shop-a', 'shop', '', 'Webhook', 'Succeeded')`
)

// delivered has what webhooks have brought, breaks it so, and returns what the oracle finds.
func delivered(t *testing.T, objects []client.Object, statements ...string) []string {
	t.Helper()
	s := newScene(t)
	for _, statement := range append([]string{
		`DROP INDEX webhook_delivery_of_sender`, keeps,
	}, statements...) {
		s.execute(statement)
	}
	s.more = objects
	violations, err := oracle.Violations(t.Context(), s.world())
	require.NoError(t, err)
	return violations
}

func TestABrokenDeliveryIsFoundInItsRow(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		broken []string
		want   []string
	}{
		"none is broken":   {nil, nil},
		"two in order are": {[]string{repeats}, nil},
		"it waits": {
			[]string{`UPDATE webhook_delivery SET status = 'Received', outcome = '', message = 'it is tried again'`},
			[]string{"I1: a delivery was accepted, and is not worked off: 1 Received it is tried again"},
		},
		"it is worked off for ever": {
			[]string{`UPDATE webhook_delivery SET status = 'Working', outcome = '', message = ''`},
			[]string{"I1: a delivery was accepted, and is not worked off: 1 Working "},
		},
		"it is kept twice": {
			[]string{repeats, `UPDATE webhook_delivery SET delivery_id = 'd-1', origin = 'd-1'`}, []string{"I2: a delivery was kept twice: hook d-1"},
		},
		"its body is kept twice":             {[]string{repeats, `UPDATE webhook_delivery SET body_hash = 'h'`}, []string{"I2: equal bodies within a day are two deliveries: 1 and 2"}},
		"its body is kept again a day later": {[]string{repeats, `UPDATE webhook_delivery SET body_hash = 'h', received_at = received_at + (id - 3) * interval '1 day'`}, nil},
		"a person has it worked off again":   {[]string{repeats, `UPDATE webhook_delivery SET body_hash = 'h', redelivery_of = CASE id WHEN 2 THEN 1 END`}, nil},
		"it was built twice": {
			[]string{isRow, `INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ('c', 'default', 'shop-a', 'shop', '', 'Webhook', 'Failed')`},
			[]string{"I2: a build was made twice for webhooks: shop-a"},
		},
		"it does not say when it ended": {
			[]string{`UPDATE webhook_delivery SET finished_at = NULL`}, []string{"I7: a delivery has ended, and does not say how: 1 Built Built shop-a"},
		},
		"its outcome is not its message's": {
			[]string{`UPDATE webhook_delivery SET outcome = 'Ignored'`}, []string{"I7: a delivery has ended, and does not say how: 1 Ignored Built shop-a"},
		},
		"it has failed, and is done": {
			[]string{`UPDATE webhook_delivery SET outcome = 'Refused', message = 'Refused: shop-a has no artifacts'`}, []string{"I7: a delivery ended otherwise than its outcome says: 1 Done Refused"},
		},
		"it says that an image is checked that is nowhere": {
			[]string{
				`INSERT INTO base_image (image_uid, namespace, name, image, repository, tag) VALUES ('i', 'default', 'go', 'go:1', 'go', '1')`,
				`UPDATE webhook_delivery SET outcome = 'CheckWanted', message = 'CheckWanted go, shop-a and 2 more'`,
			},
			[]string{"I7: a delivery says that a base image is checked that was never there: 1 shop-a"},
		},
		"it was overtaken": {
			[]string{repeats, `UPDATE webhook_delivery SET finished_at = now() + interval '1 hour' WHERE id = 1`},
			[]string{"I8: a delivery was worked off after one of its repository that came later: 1 2"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, delivered(t, []client.Object{shop()}, c.broken...))
		})
	}
}

func TestADeliveryThatSaysOtherwiseThanItsBuildsIsFound(t *testing.T) {
	t.Parallel()
	reports := func(message string) string {
		return `UPDATE webhook_delivery SET outcome = 'Reported', message = '` + message + `'`
	}
	old := func(build *v1alpha1.CiBuild) {
		build.CreationTimestamp = metav1.NewTime(time.Now().Add(-8 * 24 * time.Hour))
	}
	for sentence, c := range map[string]struct {
		objects []client.Object
		broken  []string
		want    []string
	}{
		"its build is there":         {[]client.Object{shop(), last("Built shop-a")}, nil, nil},
		"its build was pruned":       {nil, []string{isRow}, nil},
		"its build was never there":  {nil, nil, []string{"I7: delivery 1 says that it built shop-a, which was never there"}},
		"even its row may be pruned": {nil, []string{`UPDATE webhook_delivery SET finished_at = now() - interval '2 hours'`}, nil},
		"it says nothing of a build": {
			[]client.Object{shop(), shop(called("cart-a"), func(b *v1alpha1.CiBuild) { b.Spec.PipelineRef.Name = "cart" })}, nil,
			[]string{`I7: CiBuild cart-a was made for delivery 1, which says "Built shop-a"`},
		},
		"it has no room for all its builds": {
			[]client.Object{shop(), shop(called("cart-a"), func(b *v1alpha1.CiBuild) { b.Spec.PipelineRef.Name = "cart" })},
			[]string{`UPDATE webhook_delivery SET message = 'Built shop-a and 1 more'`}, nil,
		},
		"it was given up after its first build": {
			[]client.Object{shop()}, []string{`UPDATE webhook_delivery SET status = 'Failed', outcome = 'Failed', message = 'Failed: given up'`}, nil,
		},
		"it was built twice": {
			[]client.Object{shop(), shop(called("shop-b"))}, []string{`UPDATE webhook_delivery SET message = 'Built shop-a, shop-b'`},
			[]string{"I2: delivery 1 was built twice in CiPipeline shop: shop-a and shop-b"},
		},
		"it is told by the wrong one": {
			[]client.Object{shop(madeFor("2"))}, []string{repeats, `UPDATE webhook_delivery SET outcome = 'Built', message = 'Built shop-a'`},
			[]string{"I7: delivery 1 says that it built shop-a, which was made for delivery 2"},
		},
		"it was never accepted": {
			[]client.Object{shop(), shop(called("cart-a"), madeFor("7"))}, nil, []string{"I2: CiBuild cart-a was made for delivery 7, which was never accepted"},
		},
		"it was pruned before its build": {[]client.Object{shop(), shop(called("cart-a"), madeFor("7"), old)}, nil, nil},
		"it reports a build that is nowhere": {
			nil, []string{reports("Reported shop-a as Running")}, []string{"I7: delivery 1 says that it reported shop-a, which was never there"},
		},
		"it reports another end": {
			[]client.Object{shop()}, []string{reports("Reported shop-a as Failed")}, []string{"I7: delivery 1 says that it reported shop-a as Failed, which is "},
		},
		"it reports the end": {nil, []string{isRow, reports("Reported shop-a as Succeeded before")}, nil},
		"its receiver tells otherwise": {
			[]client.Object{shop(), last("Built shop-b")}, nil, []string{`I7: Receiver hook tells "Built shop-b" of delivery 1, which says "Built shop-a"`},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, delivered(t, c.objects, c.broken...))
		})
	}
}

func TestARestoredDatabaseMayHaveForgottenDeliveries(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.more, s.restored = []client.Object{shop()}, true
	violations, err := oracle.Violations(t.Context(), s.world())
	require.NoError(t, err)
	require.Empty(t, violations)
}
