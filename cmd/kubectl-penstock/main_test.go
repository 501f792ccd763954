package main

import (
	"os"
	"testing"

	"github.com/penstock-cd/penstock/test/env"
)

// local is without a controller. In steered the real one runs, with the policies and roles of
// config/admission.
var local, steered *env.Environment

func TestMain(m *testing.M) { os.Exit(env.RunTests(m, env.Options{}, &local, &steered)) }
