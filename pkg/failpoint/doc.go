// Package failpoint observes the steps of the trigger path that the process passes,
// and breaks the process at one of them; it writes nothing.
//
// It does so only in a binary that is built with the tag failpoints, for tests. In
// any other Hit and Error are empty functions that the compiler leaves out, and
// setting the variable is an error: a test that runs the wrong binary must not pass.
//
//	PENSTOCK_FAILPOINTS="plan/before-commit=kill;submit/after-create=2*error"
//
// has the process kill itself the first time that a plan is about to be committed,
// and fail the second submission after its Workflow was created. Each item is
//
//	name=action, or name=n*action for the n-th time that the step is passed
//
// and acts once. Actions are
//
//	kill        SIGKILL: the process ends at once, as in a crash
//	panic       panic in the goroutine that passes the step
//	stall(30s)  hold that goroutine for this long
//	error       have the step fail; at the steps that can (see Points)
package failpoint
