package config

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const batchSize = "CI_SUCCESS_AUTO_TRIGGER_BATCH_SIZE"

// FuzzBatchSize gives any text as the batch size: what becomes of it is what the
// model reads there.
func FuzzBatchSize(f *testing.F) {
	for _, seed := range []string{
		"", " ", "5", "0", "1", "-1", "10000", "10001", " 20 ", "20\n", "+7", "-0", "007", "1_000", "0x10", "1e3", "5.0", "five", "٥",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-2147483648", "-2147483649", "\xff", "\x00", "5 5", "--5", "auto", " auto", "Auto", "auto5",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		want := batchSizeOf(value)
		loaded, warnings, err := Load(with(batchSize, value))
		if want.refused {
			require.ErrorContains(t, err, batchSize+"=")
			require.ErrorContains(t, err, "a whole number")
			return
		}
		require.NoError(t, err)
		require.Equal(t, want.size, loaded.BatchSize)
		require.Equal(t, want.raised, len(warnings) == 1, warnings)
		if want.raised {
			require.Contains(t, warnings[0], "using 1")
		}
	})
}

// batchSizeRead is what is to become of a value.
type batchSizeRead struct {
	size            BatchSize
	raised, refused bool
}

var digits = regexp.MustCompile(`^[+-]?[0-9]+$`)

// batchSizeOf is the model: nothing is 5, what is below 1 is 1 and said, what is
// above 10000, does not fit into 64 bits or is no number is refused; auto is left to
// the process.
func batchSizeOf(value string) batchSizeRead {
	value = strings.TrimSpace(value)
	if value == "" {
		return batchSizeRead{size: BatchSize{Size: 5}}
	}
	if value == "auto" {
		return batchSizeRead{size: BatchSize{Auto: true}}
	}
	if !digits.MatchString(value) {
		return batchSizeRead{refused: true}
	}
	number, _ := new(big.Int).SetString(strings.TrimPrefix(value, "+"), 10)
	switch most, least := big.NewInt(10000), big.NewInt(math.MinInt64); {
	case number.Cmp(most) > 0 || number.Cmp(least) < 0:
		return batchSizeRead{refused: true}
	case number.Sign() < 1:
		return batchSizeRead{size: BatchSize{Size: 1}, raised: true}
	default:
		return batchSizeRead{size: BatchSize{Size: int(number.Int64())}}
	}
}
