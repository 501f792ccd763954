package oracle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/test/oracle"
)

// waved has a wave of one pipeline, whose build has succeeded, and then breaks it so.
func waved(t *testing.T, broken ...string) []string {
	t.Helper()
	s := newScene(t)
	for _, statement := range append([]string{
		`INSERT INTO base_image (image_uid, namespace, name, image, repository, tag, wave) VALUES ('i', 'default', 'go', 'go:1', 'go', '1', 1)`,
		`INSERT INTO wave (image_uid, number, digest, state, started_at, ended_at) VALUES ('i', 1, 'sha256:a', 'Succeeded', now() - interval '1 hour', now() - interval '1 minute')`,
		`INSERT INTO wave_item (image_uid, number, pipeline_uid, namespace, pipeline, build_name, build_uid, state, ended_at)
			VALUES ('i', 1, 'p', 'default', 'app', 'app-w1-0123456789', 'b', 'Succeeded', now() - interval '1 minute')`,
		`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ('b', 'default', 'app-w1-0123456789', 'app', '', 'BaseImage', 'Succeeded')`,
	}, broken...) {
		s.execute(statement)
	}
	violations, err := oracle.Violations(t.Context(), s.world())
	require.NoError(t, err)
	return violations
}

func TestABrokenWaveIsFound(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		broken []string
		want   []string
	}{
		"none is broken": {nil, nil},
		"it goes on, and nothing of it does": {
			[]string{`UPDATE wave SET state = 'Running', ended_at = NULL`}, []string{"I1: all items of a wave have ended, and it goes on: go 1"},
		},
		"it goes on, and its last item has just ended": {
			[]string{`UPDATE wave SET state = 'Running', ended_at = NULL`, `UPDATE wave_item SET ended_at = now()`}, nil,
		},
		"it has ended, and a pipeline waits": {
			[]string{`UPDATE wave_item SET state = 'Pending', ended_at = NULL, build_uid = ''`, `DELETE FROM ci_build WHERE build_uid = 'b'`},
			[]string{"I1: a wave has ended, and a pipeline of it still waits: app Pending"},
		},
		"a pipeline is built twice": {
			[]string{`INSERT INTO ci_build (build_uid, namespace, build_name, ci_pipeline, revision, cause, phase) VALUES ('c', 'default', 'app-w1-0123456789', 'app', '', 'BaseImage', 'Failed')`},
			[]string{"I2: a pipeline was built twice in a wave: app-w1-0123456789"},
		},
		"what is skipped is built": {
			[]string{`UPDATE wave_item SET state = 'Skipped', build_uid = ''`}, []string{"I2: a wave has built what it says that it skipped: app-w1-0123456789"},
		},
		"a build is of no wave": {
			[]string{`DELETE FROM wave_item`}, []string{"I2: a build was made for a wave that does not know it: app-w1-0123456789"},
		},
		"a build has not succeeded": {
			[]string{`UPDATE ci_build SET phase = 'Failed' WHERE build_uid = 'b'`},
			[]string{"I7: a wave tells that a build has succeeded, which it has not: app-w1-0123456789"},
		},
		"a build has succeeded": {
			[]string{`UPDATE wave_item SET state = 'Failed'`}, []string{"I7: a build has succeeded, and its wave tells otherwise: app-w1-0123456789 Failed"},
		},
		"an end has no time": {
			[]string{`UPDATE wave_item SET ended_at = NULL`}, []string{"I7: an item of a wave does not say when it ended: app-w1-0123456789 Succeeded"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, waved(t, c.broken...))
		})
	}
}
