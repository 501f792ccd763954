package receiver

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

var local *env.Environment

// install gives the controller its rights, once for all scenes.
var install = sync.OnceValue(func() error { return local.InstallController(context.Background()) })

func TestMain(m *testing.M) { os.Exit(env.RunTests(m, env.Options{}, &local)) }
