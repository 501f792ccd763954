package intern_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/pkg/intern"
)

// kind is a type of text, as the API has them.
type kind string

func same[T ~string](a, b T) bool {
	return unsafe.StringData(string(a)) == unsafe.StringData(string(b))
}

func TestEqualTextsAreOneCopy(t *testing.T) {
	t.Parallel()
	body := "production, staging, production"
	first, second := intern.Text(body[:10]), intern.Text(body[len(body)-10:])
	require.Equal(t, "production", first)
	require.Equal(t, "production", second)
	require.True(t, same(first, second))
	require.False(t, same(first, body[:10]), "a part must not keep the whole")
	require.True(t, same(intern.Text(kind(strings.Clone("production"))), kind(first)))
}

func TestWhatIsEmptyOrLongIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	require.Empty(t, intern.Text(""))
	long := strings.Repeat("a", 513)
	require.True(t, same(long, intern.Text(long)))
}

func TestFieldsAreReplaced(t *testing.T) {
	t.Parallel()
	a, b, empty := strings.Clone("one namespace"), strings.Clone("one namespace"), ""
	intern.Fields(&a, &b, &empty)
	require.Equal(t, "one namespace", a)
	require.True(t, same(a, b))
	require.Empty(t, empty)
}

func TestWhatWasHandedOutSurvivesThatTheTableIsFull(t *testing.T) {
	t.Parallel()
	before := intern.Text("kept")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 10_000 {
				text := strconv.Itoa(worker*10_000 + i)
				if got := intern.Text(text); got != text {
					t.Errorf("%q became %q", text, got)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, "kept", before)
	require.Equal(t, "kept", intern.Text("kept"))
}
