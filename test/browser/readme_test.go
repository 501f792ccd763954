package browser

import (
	"bytes"
	"flag"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "take the screenshot of README.md anew")

// mostBytes is how large the screenshot may be.
const mostBytes = 200_000

// readme is the screenshot of README.md.
var readme = filepath.Join("..", "..", "docs", "images", "dashboard.png")

func TestTheScreenshotOfTheReadme(t *testing.T) {
	s := theStage(t)
	alice, err := s.person(t.Context(), "alice", "penstock-reader", "penstock-approver")
	require.NoError(t, err)
	b := s.open(t).signIn(alice).theme("light").size(wide, 1200).visit("/apps/shop/shop")
	b.sees("What waits, and why").sees("Resume").sees("What is deployed where").sees("Live")
	taken, err := png.Decode(bytes.NewReader(b.window()))
	require.NoError(t, err)
	var packed bytes.Buffer
	packer := png.Encoder{CompressionLevel: png.BestCompression}
	require.NoError(t, packer.Encode(&packed, taken))
	require.Less(t, packed.Len(), mostBytes)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(readme), 0o755))
		require.NoError(t, os.WriteFile(readme, packed.Bytes(), 0o644))
	}
	kept, err := os.ReadFile(readme)
	require.NoError(t, err)
	require.Less(t, len(kept), mostBytes)
}
