package pools_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants, which the benchmarks compare with, starts two goroutines when it is imported.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
