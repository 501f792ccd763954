// Package explain says in sentences why builds, pipelines and runs are as they are: what was
// decided, what is waited for, what came of it, and which command changes that. It is given data
// and reads nothing, so that status, API, plugin and dashboard say the same.
package explain
