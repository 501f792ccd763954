package evolution

import (
	"context"
	"io"
)

const Subcommand = "approach"

func Child(ctx context.Context, in io.Reader, out io.Writer) error { return nil }
