package clip_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/clip"
)

func TestTextFitsAndNoCharacterIsCut(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		text string
		most int
		want string
	}{
		"what fits stays":                      {"penstock", 8, "penstock"},
		"what does not fit ends with a sign":   {"penstock", 7, "pens…"},
		"a character of several bytes is kept": {"größer!", 6, "gr…"},
		"nothing but the sign":                 {"penstock", 3, "…"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := clip.Text(test.text, test.most)
			require.Equal(t, test.want, got)
			require.LessOrEqual(t, len(got), test.most)
		})
	}
	require.Len(t, clip.Note(strings.Repeat("x", 5000)), 1024)
}
