package wave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/test/given"
)

// between is how long after a probe the next one comes.
const between = 2 * time.Second

// measure has the image change, and asks for builds and deployments until all is built.
func (s *subject) measure(ctx context.Context, number int64, n int) (Limit, error) {
	limit := Limit{N: n, Dependents: s.dependents}
	bounds := fmt.Appendf(nil, `{"spec":{"rebuild":{"maxParallel":%d}}}`, n)
	changed := given.BaseImage(base, "")
	changed.Namespace = namespace
	if err := s.Client.Patch(ctx, changed, client.RawPatch(types.MergePatchType, bounds)); err != nil {
		return limit, fmt.Errorf("set the limit: %w", err)
	}
	digest, err := s.images.Store(image, 1)
	if err != nil {
		return limit, fmt.Errorf("push another image: %w", err)
	}
	if err := s.awaitDigest(ctx, digest); err != nil {
		return limit, err
	}
	if err := s.awaitWave(ctx, number, "the wave is under way",
		`SELECT count(*) >= $3 FROM wave_item WHERE image_uid = $1 AND number = $2 AND state = 'Building'`, n); err != nil {
		return limit, err
	}
	if err := s.probe(ctx, number, &limit); err != nil {
		return limit, err
	}
	err = s.result(ctx, number, &limit)
	return limit, err
}

// awaitWave waits until a query about a wave tells so. Its first parameters are the image's UID
// and the number.
func (s *subject) awaitWave(ctx context.Context, number int64, what, query string, more ...any) error {
	err := wait.PollUntilContextTimeout(ctx, look, patience, true, func(ctx context.Context) (bool, error) {
		return s.ask(ctx, number, query, more...)
	})
	if err != nil {
		return fmt.Errorf("wait until %s: %w", what, err)
	}
	return nil
}

func (s *subject) ask(ctx context.Context, number int64, query string, more ...any) (is bool, err error) {
	var uid string
	if err := s.rows.QueryRow(ctx, `SELECT image_uid FROM base_image WHERE name = $1`, base).Scan(&uid); err != nil {
		return false, err
	}
	err = s.rows.QueryRow(ctx, query, append([]any{uid, number}, more...)...).Scan(&is)
	return is, err
}

// probe builds and deploys until the wave has ended, and keeps the longest waits. The last probe
// may be served when nothing of the wave is left.
func (s *subject) probe(ctx context.Context, number int64, limit *Limit) error {
	for {
		ended, err := s.ask(ctx, number, `SELECT ended_at IS NOT NULL FROM wave WHERE image_uid = $1 AND number = $2`)
		if err != nil || ended {
			return err
		}
		s.probes++
		limit.Probes++
		waited, err := s.personBuilds(ctx, fmt.Sprintf("person-%d", s.probes))
		if err != nil {
			return err
		}
		limit.PersonBuildSeconds = max(limit.PersonBuildSeconds, waited.Seconds())
		if waited, err = s.deploys(ctx, fmt.Sprintf("other-%d", s.probes)); err != nil {
			return err
		}
		limit.DeploymentSeconds = max(limit.DeploymentSeconds, waited.Seconds())
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(between):
		}
	}
}

// personBuilds returns how long after its creation the Workflow of a person's build was seen.
func (s *subject) personBuilds(ctx context.Context, name string) (time.Duration, error) {
	build := given.CiBuild(name, given.BuildOf(person), given.Because(v1alpha1.CauseManual))
	build.Namespace = namespace
	began := time.Now()
	if err := s.Client.Create(ctx, build); err != nil {
		return 0, fmt.Errorf("create CiBuild %s: %w", name, err)
	}
	seen, err := s.seen.Await(ctx, name, 1)
	return seen.Sub(began), err
}

// deploys returns how long after the success of a build that runs elsewhere the Workflow of its
// deployment was seen.
func (s *subject) deploys(ctx context.Context, name string) (time.Duration, error) {
	if err := s.Builds(ctx, namespace, other, name); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := s.Finish(ctx, namespace, name); err != nil {
		return 0, err
	}
	seen, err := s.seen.Await(ctx, name, 1)
	return seen.Sub(began), err
}

// result reads what the rows tell of a wave that has ended.
func (s *subject) result(ctx context.Context, number int64, limit *Limit) error {
	var state string
	var succeeded int
	err := s.rows.QueryRow(ctx, `
		SELECT w.state, extract(epoch FROM w.ended_at - w.started_at), count(*) FILTER (WHERE i.state = 'Succeeded')
		FROM wave w JOIN wave_item i USING (image_uid, number) JOIN base_image b USING (image_uid)
		WHERE b.name = $1 AND w.number = $2 GROUP BY w.image_uid, w.number`, base, number).Scan(&state, &limit.Seconds, &succeeded)
	if err != nil {
		return fmt.Errorf("read the wave: %w", err)
	}
	if state != string(v1alpha1.WaveSucceeded) || succeeded != s.dependents {
		return fmt.Errorf("the wave is %s, and %d of %d pipelines are built", state, succeeded, s.dependents)
	}
	took, err := s.builds(ctx, number)
	if err != nil {
		return err
	}
	limit.BarrierSeconds = barrier(took, limit.N).Seconds()
	limit.Speedup = limit.BarrierSeconds / limit.Seconds
	return s.rows.QueryRow(ctx, `
		SELECT count(*) FROM (SELECT ci_pipeline FROM ci_build WHERE cause = 'BaseImage' GROUP BY ci_pipeline HAVING count(*) > $1) twice`, number).Scan(&limit.Doubled)
}

// builds returns how long each build of a wave took, from its place in the queue until the wave
// knew of its end, in the order in which they were begun.
func (s *subject) builds(ctx context.Context, number int64) (took []time.Duration, err error) {
	rows, err := s.rows.Query(ctx, `
		SELECT extract(epoch FROM i.ended_at - t.queued_at)::float8
		FROM wave_item i JOIN base_image b USING (image_uid) JOIN task t ON t.kind = 'ci' AND t.inputs->>'build_uid' = i.build_uid
		WHERE b.name = $1 AND i.number = $2 ORDER BY t.queued_at, t.id`, base, number)
	if err != nil {
		return nil, fmt.Errorf("read the builds: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var seconds float64
		if err := rows.Scan(&seconds); err != nil {
			return nil, fmt.Errorf("read the builds: %w", err)
		}
		took = append(took, time.Duration(seconds*float64(time.Second)))
	}
	if len(took) != s.dependents {
		return nil, errors.Join(rows.Err(), fmt.Errorf("%d of %d builds have a task", len(took), s.dependents))
	}
	return took, rows.Err()
}

// where tells of a wave that has ended where the median build of it spent its time.
func (s *subject) where(ctx context.Context, number int64) (told string, err error) {
	var queued, ran, noticed float64
	err = s.rows.QueryRow(ctx, `
		SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.submitted_at - t.queued_at)),
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM t.finished_at - t.submitted_at)),
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM i.ended_at - t.finished_at))
		FROM wave_item i JOIN base_image b USING (image_uid) JOIN task t ON t.kind = 'ci' AND t.inputs->>'build_uid' = i.build_uid
		WHERE b.name = $1 AND i.number = $2`, base, number).Scan(&queued, &ran, &noticed)
	if err != nil {
		return "", fmt.Errorf("read where builds spent their time: %w", err)
	}
	return fmt.Sprintf("the median build waited %.2f s for its Workflow and ran for %.2f s, and the wave knew of it %.2f s later", queued, ran, noticed), nil
}

// barrier is how long a batch barrier takes: each batch as long as the slowest of its builds.
func barrier(took []time.Duration, n int) (all time.Duration) {
	for begin := 0; begin < len(took); begin += n {
		slowest := time.Duration(0)
		for _, one := range took[begin:min(begin+n, len(took))] {
			slowest = max(slowest, one)
		}
		all += slowest
	}
	return all
}
