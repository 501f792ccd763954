package env

import "os/exec"

// niceness puts a part behind all that is measured: on two cores Argo would
// otherwise take the time of the API server that its Workflows are made in.
const niceness = "10"

// nicely runs c at a lower priority where the system can.
func nicely(c command) command {
	path, err := exec.LookPath("nice")
	if err != nil {
		return c
	}
	c.args = append([]string{"-n", niceness, c.path}, c.args...)
	c.path = path
	return c
}
