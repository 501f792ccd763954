// Package bounded runs work with a bound on how much of it runs at once, and writes nothing of its own: a [Pool] for a
// stream of tasks, [Map] and [ForEach] for a slice with one answer for each input.
//
//	type Pool[T]  NewPool(Config[T]{Limit, Timeout, Run, Done})
//	              Go(ctx, task) error              blocks until a slot is free
//	              SetLimit(n)  Limit() InFlight() Free() Peak()  Freed() <-chan struct{}
//	              Wait()  Shutdown(ctx) error
//	func Map      (ctx, limit, timeout, inputs, fn) []Result[Out]
//	func ForEach  (ctx, limit, timeout, inputs, fn) []error
//	func Protect  (fn) error                       a panic becomes a *PanicError
//	errors        *PanicError  *TimeoutError  ErrClosed  ErrGoexit
//
// Both are sliding windows: a slot that becomes free is filled at once. A batch barrier waits for the slowest of every
// batch instead, which costs several times the whole run as soon as a few tasks are slow.
//
// Which one: a Pool where tasks keep coming, where the limit changes while they run, and where the bound is a promise to
// somebody else (a task that ignores its context keeps its slot). Map where the caller needs all answers, and needs them
// on time (an input that ignores its context is answered without it, and gives its slot up).
//
// Neither is built on golang.org/x/sync. semaphore.Weighted has a fixed size: a smaller limit can be imitated by holding
// weight back, but acquiring it blocks behind the queue, and there is no larger one. errgroup.SetLimit panics while tasks
// run, Go can't be cancelled while it waits, and a panic ends the process.
package bounded
