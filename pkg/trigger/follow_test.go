package trigger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
	"github.com/penstock-cd/penstock/test/given"
)

func TestWhenAFailedStageIsTriedAgain(t *testing.T) {
	t.Parallel()
	const forever = time.Duration(1<<63 - 1)
	withoutBackoff := func(p *v1alpha1.CdPipeline) { p.Spec.Deploy.Retries = &v1alpha1.Retries{Max: 20} }
	preRetries := func(p *v1alpha1.CdPipeline) {
		p.Spec.PreDeploy.Retries = &v1alpha1.Retries{Max: 1, Backoff: &metav1.Duration{Duration: time.Minute}}
	}
	for sentence, tc := range map[string]struct {
		pipeline *v1alpha1.CdPipeline
		stage    trigger.Stage
		attempt  int32
		want     time.Duration
		more     bool
	}{
		"never without retries":                         {given.CdPipeline("web"), trigger.StageDeploy, 1, 0, false},
		"never with a maximum of none":                  {given.CdPipeline("web", given.WithRetries(0, time.Minute)), trigger.StageDeploy, 1, 0, false},
		"after the backoff, the first time":             {given.CdPipeline("web", given.WithRetries(2, time.Minute)), trigger.StageDeploy, 1, time.Minute, true},
		"after twice the backoff, the second time":      {given.CdPipeline("web", given.WithRetries(2, time.Minute)), trigger.StageDeploy, 2, 2 * time.Minute, true},
		"not once the maximum is used up":               {given.CdPipeline("web", given.WithRetries(2, time.Minute)), trigger.StageDeploy, 3, 0, false},
		"after 30 s where no backoff is given":          {given.CdPipeline("web", withoutBackoff), trigger.StageDeploy, 1, 30 * time.Second, true},
		"after an hour at most":                         {given.CdPipeline("web", withoutBackoff), trigger.StageDeploy, 8, time.Hour, true},
		"after an hour at the last attempt too":         {given.CdPipeline("web", withoutBackoff), trigger.StageDeploy, 20, time.Hour, true},
		"at once with a backoff of none":                {given.CdPipeline("web", given.WithRetries(20, 0)), trigger.StageDeploy, 20, 0, true},
		"after an hour with a backoff beyond it":        {given.CdPipeline("web", given.WithRetries(20, 1000*time.Hour)), trigger.StageDeploy, 1, time.Hour, true},
		"after an hour with the longest backoff":        {given.CdPipeline("web", given.WithRetries(1<<31-1, forever)), trigger.StageDeploy, 1<<31 - 1, time.Hour, true},
		"after the backoff at an attempt of number 0":   {given.CdPipeline("web", given.WithRetries(1, time.Minute)), trigger.StageDeploy, 0, time.Minute, true},
		"by the retries of the stage and of no other":   {given.CdPipeline("web", given.WithPre, given.WithRetries(5, time.Second), preRetries), trigger.StagePre, 1, time.Minute, true},
		"never where the stage was removed meanwhile":   {given.CdPipeline("web", given.WithRetries(5, time.Second)), trigger.StagePost, 1, 0, false},
		"never a stage that there is not in any":        {given.CdPipeline("web", given.WithRetries(5, time.Second)), "LATER", 1, 0, false},
		"never where another stage alone has retries":   {given.CdPipeline("web", given.WithPre, preRetries), trigger.StageDeploy, 1, 0, false},
		"not once the maximum of another stage is used": {given.CdPipeline("web", given.WithPre, given.WithRetries(5, time.Second), preRetries), trigger.StagePre, 2, 0, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			after, more := trigger.RetryAfter(tc.pipeline, tc.stage, tc.attempt)
			require.Equal(t, tc.more, more)
			require.Equal(t, tc.want, after)
		})
	}
}

func TestThePauseBeforeARetryOnlyGrowsAndStaysWithinAnHour(t *testing.T) {
	t.Parallel()
	for _, first := range []time.Duration{0, 1, time.Millisecond, time.Second, 7 * time.Minute, time.Hour, 3 * time.Hour, 1<<63 - 1} {
		pipeline := given.CdPipeline("web", given.WithRetries(1<<31-1, first))
		last := time.Duration(0)
		for attempt := range int32(100) {
			after, more := trigger.RetryAfter(pipeline, trigger.StageDeploy, attempt)
			require.True(t, more)
			require.GreaterOrEqual(t, after, last, "backoff %s, attempt %d", first, attempt)
			require.LessOrEqual(t, after, time.Hour, "backoff %s, attempt %d", first, attempt)
			last = after
		}
	}
}
