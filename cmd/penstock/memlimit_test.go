package main

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestTheMemoryOfAContainerIsWhatItsCgroupSays(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for sentence, c := range map[string]struct {
		files fstest.MapFS
		want  int64
	}{
		"without cgroups there is no limit":       {fstest.MapFS{}, 0},
		"version 2 says the limit":                {fstest.MapFS{limitFiles[0]: file("268435456\n")}, 256 * mebibyte},
		"version 2 says that there is none":       {fstest.MapFS{limitFiles[0]: file("max\n")}, 0},
		"version 1 says the limit":                {fstest.MapFS{limitFiles[1]: file("268435456\n")}, 256 * mebibyte},
		"version 1 says a huge number for none":   {fstest.MapFS{limitFiles[1]: file("9223372036854771712\n")}, 0},
		"what is no number is taken for no limit": {fstest.MapFS{limitFiles[0]: file("lots\n")}, 0},
	} {
		require.Equal(t, c.want, containerMemory(c.files), sentence)
	}
}

// It changes the process's limit, and does not run beside others.
func TestTheMemoryLimitLeavesRoomAndGoesBehindTheOperators(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	container := fstest.MapFS{limitFiles[0]: &fstest.MapFile{Data: []byte("268435456\n")}}
	t.Setenv("GOMEMLIMIT", "100MiB")
	debug.SetMemoryLimit(100 * mebibyte)
	boundMemory(container)
	require.EqualValues(t, 100*mebibyte, debug.SetMemoryLimit(-1))
	t.Setenv("GOMEMLIMIT", "")
	debug.SetMemoryLimit(math.MaxInt64)
	boundMemory(container)
	require.InDelta(t, 0.9*256*mebibyte, float64(debug.SetMemoryLimit(-1)), 1)
}
