package env

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed skew/clock.c
var clockSource []byte

// compileTimeout bounds one call of the C compiler.
const compileTimeout = time.Minute

// skewed is the environment that sets a process's wall clock apart by the offset,
// from a library that is compiled into the directory.
func skewed(ctx context.Context, dir string, offset time.Duration) ([]string, error) {
	if offset == 0 {
		return nil, nil
	}
	library, source := filepath.Join(dir, "clock.so"), filepath.Join(dir, "clock.c")
	if err := os.WriteFile(source, clockSource, 0o600); err != nil {
		return nil, fmt.Errorf("write clock: %w", err)
	}
	if err := compile(ctx, source, library); err != nil {
		return nil, fmt.Errorf("compile clock: %w", err)
	}
	return []string{
		"LD_PRELOAD=" + library,
		fmt.Sprintf("PENSTOCK_CLOCK_OFFSET=%.0f", offset.Seconds()),
	}, nil
}

// compile makes a library that others may load too, with the compiler that the race
// detector needs as well.
func compile(ctx context.Context, source, library string) error {
	compiler, err := cCompiler()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	args := slices.Concat(compiler[1:], []string{"-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source})
	if printed, err := exec.CommandContext(ctx, compiler[0], args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, printed)
	}
	return os.Chmod(library, 0o755)
}

// cCompiler is $CC, which may carry flags, or the usual names.
func cCompiler() ([]string, error) {
	for _, candidate := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		words := strings.Fields(candidate)
		if len(words) == 0 {
			continue
		}
		if _, err := exec.LookPath(words[0]); err == nil {
			return words, nil
		}
	}
	return nil, errors.New("no C compiler: set CC, or see hack/ensure-c-compiler.sh")
}
