package wave

// Limits bound a wave.
type Limits struct {
	// MaxParallel is how many builds are under way at once.
	MaxParallel int
	// MaxFailures is how many may fail, beside those that a person has let pass.
	MaxFailures, Forgiven int
}

// Step is what becomes of a wave now.
type Step struct {
	// Start are the items whose build begins.
	Start []Item
	// Stops: too many have failed.
	Stops bool
	// Ends: every item has ended. HasFailed tells that some have failed.
	Ends, HasFailed bool
}

// Next decides what becomes of a wave that runs.
func Next(items []Item, limits Limits) Step {
	var building, failed, open int
	for _, item := range items {
		switch {
		case item.State == Failed:
			failed++
		case item.State == Building:
			building, open = building+1, open+1
		case !item.State.HasEnded():
			open++
		}
	}
	step := Step{HasFailed: failed > 0, Ends: open == 0}
	step.Stops = !step.Ends && failed-limits.Forgiven > limits.MaxFailures
	if step.Ends || step.Stops {
		return step
	}
	for _, item := range items {
		if item.State == Pending && building < limits.MaxParallel {
			step.Start, building = append(step.Start, item), building+1
		}
	}
	return step
}
