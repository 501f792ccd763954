// Package chaos breaks what Penstock stands on, one way after another, while the
// controller runs as a process of its own against the real parts, and ends each test
// with the oracle: nothing lost, nothing doubled, nothing above its limit, nothing
// told before it was so.
//
// A file is a scenario:
//
//	01  a build with 50 children, reconciled 100 more times
//	02  200 builds of 10 children at once
//	03  50,000 tasks that wait
//	04  a build of 5,000 children, then one of 3
//	05  SIGKILL at every step, and at random
//	06  SIGTERM with a full pool
//	07  Postgres stopped at once and started again, under load
//	08  the reply to a commit is lost
//	09  Postgres stalls
//	10  the API server answers a third of the requests with errors
//	10b the API server is away for ten seconds, while one task is poison
//	11  the cache never shows new Workflows
//	12  watch events dropped, repeated, reordered; Workflows deleted before their end was seen
//	13  two leaders; a leader that was stopped and goes on
//	14  somebody else's Workflow has the wanted name
//	15  builds, pipelines and namespaces deleted under way
//	16  poison: specs that can't be carried out
//	17  clocks that differ by minutes
//	18  started and stopped at any moment; goroutines that are left
//	20  the rights that the chart grants
//	21  a client vanishes inside a transaction
//	22  the database is restored without its last seconds
//	22b a Workflow that runs while the database is restored without it
//	23  a create that arrives after its task was cancelled; a copy that somebody resubmits
//	24  two large builds at once; SIGKILL between the chunks of their plans
//	25  one chain of thousands in a namespace
//	27  a queue that never empties
//	28  builds of one pipeline in every order, under each concurrencyPolicy
//	28b SIGKILL at every step of a RunRequest, of a supersession and of a stage's end
//	29  Workflows that others relabel, release, stop, retry or copy; templates and quotas that go and come back
//	29b a gate that shuts on what was tried before, and what is then suspended, deleted, held or moved
//	30  Postgres turns read-only, its password changes, a pooler stands before it
//	31  one right or one kind is missing
//	32  1,000 clusters: some hang, send half, refuse, flap or show another certificate
//	32b the leader that probes target clusters dies
//	33  receivers of notifications hang, refuse and redirect; SIGKILL between send and record
//	34  SIGKILL at every step of a webhook, of the server that receives it and of the controller that works it off
//	35  SIGKILL at every step of a build that runs here
//	35b SIGKILL at every step of a wave, and at random; two waves at once, failures above the bound, a ring, a person's build meanwhile
//	37  runs in three clusters: one is cut off, one has its token rotated, one becomes another, an address fails over in the middle of a burst; SIGKILL at random
//
// Number 19, fuzzing and models, lives beside the code: see make fuzz. What a scenario
// asks of a query's plan is tested in pkg/store.
//
// make chaos runs all of it. make test runs it with -short: without the scenarios that
// take long, and the others with fewer repetitions or smaller numbers. What the sizes
// are stands at the top of each test.
//
// Tests that measure time, or stop what others use, do not run in parallel with others.
package chaos
