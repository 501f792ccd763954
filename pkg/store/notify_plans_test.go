package store_test

// notifying are the statements that turn events into notifications, and those that send them.
func notifying(h history) map[string]plan {
	channels := of(100, "namespaces=ns-1", "channels=channel-1")
	groups := joined(of(100, "policies=policy"), arguments{
		"namespaces": array(h.old(100), as("ns-%d")), "channels": array(h.old(100), as("channel-%d")), "group_keys": array(h.old(100), as("build/b-%d")),
	})
	builds := arguments{"floor_id": "0", "namespaces": array(h.old(100), func(n int) string { return as("ns-%d")(n % 100) }), "build_names": array(h.old(100), as("build-%d"))}
	sending := arguments{"busy": "{ns-1/channel-1}", "namespaces": "{}", "channel": "channel-0", "namespace": "ns-0"}
	return map[string]plan{
		"LockCursors":           {pages: one},
		"TakeCursor":            {pages: one, arguments: arguments{"watched": "a", "watched_before": ""}},
		"DeleteCursors":         {pages: one, arguments: arguments{"watched": "{a}"}},
		"AddCursor":             {pages: all, arguments: arguments{"watched": "", "server": "s"}},
		"MoveCursor":            {pages: one, arguments: arguments{"watched": "", "server": "s", "xid": "180", "floor_id": "0"}},
		"SkipEvents":            {pages: one, arguments: arguments{"watched": "", "server": "s", "end_xid": "180", "end_id": "1"}},
		"UntoldEvents":          {pages: all, arguments: arguments{"most": "500", "floor_id": "0"}},
		"MovedEvents":           {pages: all, arguments: arguments{"most": "500"}},
		"EventsEnd":             {pages: one},
		"BuildsToTell":          {pages: all, arguments: builds},
		"PipelinesToTell":       {pages: one, arguments: of(100, "pipeline_uids=p-1")},
		"RunsToTell":            {pages: all, arguments: runsOf("run_ids", h.old(100))},
		"NotificationsOfGroups": {pages: all, arguments: groups},
		"BegunNotifications":    {pages: all, arguments: channels},
		"PutNotifications":      {exempt: "it reads no table"},
		"ClaimNotifications":    {pages: all, arguments: sending},
		"ClaimNextNotification": {pages: 1000, arguments: sending},
		"RecordNotification":    {pages: one, arguments: arguments{"outcome": "Sent", "version": "1", "reference": "", "error": "", "delay": "1 s", "attempts": "1"}},
		"ChannelCounts":         {pages: all},
		"ReleaseNotifications":  {pages: 1000},
		"ResendNotification":    {pages: one},
		"AddTest":               {exempt: "it reads no table"},
		"ViewNotifications":     {pages: all, arguments: joined(sending, arguments{"failed": "false", "channel": ""})},
		"PruneNotifications":    {pages: all, arguments: arguments{"namespaces": "{}"}},
	}
}
