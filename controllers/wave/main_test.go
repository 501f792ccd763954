package wave

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var local *env.Environment

func TestMain(m *testing.M) {
	os.Exit(env.RunTests(m, env.Options{}, &local))
}
