package intern

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// kind is a type of text, as the API has them.
type kind string

func same[T ~string](a, b T) bool {
	return unsafe.StringData(string(a)) == unsafe.StringData(string(b))
}

func TestEqualTextsAreOneCopy(t *testing.T) {
	t.Parallel()
	body := "production, staging, production"
	first, second := Text(body[:10]), Text(body[len(body)-10:])
	require.Equal(t, "production", first)
	require.Equal(t, "production", second)
	require.True(t, same(first, second))
	require.False(t, same(first, body[:10]), "a part must not keep the whole")
	require.True(t, same(Text(kind(strings.Clone("production"))), kind(first)))
}

func TestWhatIsEmptyOrLongIsReturnedAsItIs(t *testing.T) {
	t.Parallel()
	require.Empty(t, Text(""))
	long := strings.Repeat("a", 513)
	require.True(t, same(long, Text(long)))
}

func TestFieldsAreReplaced(t *testing.T) {
	t.Parallel()
	a, b, empty := strings.Clone("one namespace"), strings.Clone("one namespace"), ""
	Fields(&a, &b, &empty)
	require.Equal(t, "one namespace", a)
	require.True(t, same(a, b))
	require.Empty(t, empty)
}

func TestATableThatIsFullForgetsAndGoesOn(t *testing.T) {
	t.Parallel()
	table := newTable()
	kept := table.text("kept")
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 10_000 {
				text := strconv.Itoa(worker*10_000 + i)
				if got := table.text(text); got != text {
					t.Errorf("%q became %q", text, got)
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(table.texts), most)
	require.Equal(t, kept, table.text("kept"))
	require.True(t, same(table.text("kept"), table.text(strings.Clone("kept"))))
}
