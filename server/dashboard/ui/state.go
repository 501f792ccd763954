package ui

// tone is how a state looks: good, bad, busy, wait or none. A word stands beside it always.
func tone(state string) string {
	switch state {
	case "Succeeded", "Healthy", "Done", "Sent", "Triggered", "Fresh", "OK":
		return "good"
	case "Failed", "Error", "Unreachable", "Unauthorized", "GivenUp", "Blocked", "Failing", "Stopped":
		return "bad"
	case "Running", "Submitted", "Submitting", "Building", "Working", "Active":
		return "busy"
	case "Pending", "Held", "Waiting", "Degraded", "Received", "Deferred", "Stale":
		return "wait"
	}
	return "none"
}

// sign is a shape for a tone, for those who can't tell colours apart.
func sign(tone string) string {
	switch tone {
	case "good":
		return "✓"
	case "bad":
		return "✕"
	case "busy":
		return "▶"
	case "wait":
		return "◷"
	}
	return "–"
}
