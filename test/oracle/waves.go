package oracle

// lag is how long after the last item or build has ended its wave may tell of it.
const lag = `interval '10 s'`

// waveRules are about waves of rebuilds: each pipeline is built at most once in each, and a wave
// tells what came of its builds.
var waveRules = []rule{
	{"I1: all items of a wave have ended, and it goes on", `
		SELECT b.name || ' ' || w.number FROM wave w JOIN base_image b ON b.image_uid = w.image_uid
		WHERE w.state = 'Running' AND w.started_at < now() - ` + lag + ` AND NOT EXISTS (
			SELECT FROM wave_item i WHERE i.image_uid = w.image_uid AND i.number = w.number AND (i.ended_at IS NULL OR i.ended_at > now() - ` + lag + `))`},
	{"I1: a wave has ended, and a pipeline of it still waits", `
		SELECT i.pipeline || ' ' || i.state FROM wave w JOIN wave_item i ON i.image_uid = w.image_uid AND i.number = w.number
		WHERE w.ended_at IS NOT NULL AND i.state IN ('Deferred', 'Pending')`},
	{"I2: a pipeline was built twice in a wave", `
		SELECT i.build_name FROM wave_item i JOIN ci_build b ON b.namespace = i.namespace AND b.build_name = i.build_name
		GROUP BY i.image_uid, i.number, i.pipeline_uid, i.build_name HAVING count(*) > 1`},
	{"I2: a wave has built what it says that it skipped", `
		SELECT i.build_name FROM wave_item i JOIN ci_build b ON b.namespace = i.namespace AND b.build_name = i.build_name
		WHERE i.state IN ('Deferred', 'Pending') OR (i.state = 'Skipped' AND i.build_uid = '')`},
	{"I2: a build was made for a wave that does not know it", `
		SELECT b.build_name FROM ci_build b WHERE b.cause = 'BaseImage' AND b.build_name ~ '-w[0-9]+-[0-9a-f]{10}$'
			AND NOT EXISTS (SELECT FROM wave_item i WHERE i.namespace = b.namespace AND i.build_name = b.build_name)`},
	{"I7: a wave tells that a build has succeeded, which it has not", `
		SELECT i.build_name FROM wave_item i WHERE i.state = 'Succeeded'
			AND NOT EXISTS (SELECT FROM ci_build b WHERE b.build_uid = i.build_uid AND b.phase = 'Succeeded')`},
	{"I7: a build has succeeded, and its wave tells otherwise", `
		SELECT i.build_name || ' ' || i.state FROM wave_item i JOIN ci_build b ON b.build_uid = i.build_uid
		WHERE b.phase = 'Succeeded' AND i.state NOT IN ('Succeeded', 'Building')`},
	{"I7: an item of a wave does not say when it ended", `
		SELECT i.build_name || ' ' || i.state FROM wave_item i WHERE (i.ended_at IS NOT NULL) <> (i.state IN ('Succeeded', 'Failed', 'Skipped'))`},
}
