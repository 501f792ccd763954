package store_test

// groupsOf name the notifications of builds.
func groupsOf(numbers []int) arguments {
	return arguments{
		"namespaces": array(numbers, func(n int) string { return as("ns-%d")(n % 100) }), "policies": array(numbers, func(int) string { return "failures" }),
		"channels": array(numbers, func(int) string { return "slack" }), "group_keys": array(numbers, as("build/b-%d")),
	}
}

// Of notifications one in a hundred waits, and as many were given up.
func notified(h history) map[string]plan {
	old, numbers := h.old(100), make([]int, 100)
	for i := range numbers {
		numbers[i] = 1 + i*(h.tasks/2/100)
	}
	builds := arguments{
		"namespaces":  array(old, func(run int) string { return as("ns-%d")(((run-1)/5 + 1) % 100) }),
		"build_names": array(old, func(run int) string { return as("build-%d")((run-1)/5 + 1) }),
	}
	return map[string]plan{
		"LockCursor":            {pages: one, arguments: arguments{"server": "s"}},
		"MoveCursor":            {pages: one, arguments: arguments{"server": "s", "xid": "1", "floor_id": "0"}},
		"UntoldEvents":          {pages: one},
		"MovedEvents":           {pages: one},
		"LastEventID":           {pages: one},
		"BuildsToTell":          {pages: all, arguments: builds},
		"PipelinesToTell":       {pages: all, arguments: pipelineArrays(100)},
		"RunsToTell":            {pages: all, arguments: runsOf("run_ids", old)},
		"NotificationsOfGroups": {pages: all, arguments: groupsOf(numbers)},
		"BegunNotifications":    {pages: all, arguments: groupsOf(numbers)},
		"PutNotifications": {pages: all, arguments: joined(groupsOf(numbers), of(100, "seqs=1", "types=RunFailed", "build_uids=b", "items=[]", "events=1",
			"are_complete=false", "wanted=2", "states=Waiting", "due_ats=now", "closes_ats=infinity"))},
		"ClaimNotifications":   {pages: all, arguments: arguments{"busy": "{ns-1/slack}", "most": "8"}},
		"RecordNotification":   {pages: one, arguments: arguments{"outcome": "Sent", "version": "1", "reference": "", "error": "", "delay": "0 s", "attempts": "1"}},
		"DelayChannel":         {pages: all, arguments: arguments{"channel": "slack", "delay": "2 s"}},
		"ChannelCounts":        {pages: all},
		"ResendNotification":   {pages: one},
		"AddTest":              {pages: one, arguments: arguments{"channel": "slack", "group_key": "test/1", "items": "[]"}},
		"ViewNotifications":    {pages: all, arguments: arguments{"channel": "", "failed": "false"}},
		"PruneNotifications":   {pages: 2 * all, arguments: arguments{"most": "1000"}},
		"ReleaseNotifications": {pages: all},
	}
}
