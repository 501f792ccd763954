package oracle

import (
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestABadQueryIsNotTakenForADatabaseThatIsDown(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		err error
		bad bool
	}{
		"a broken rule":                {&pgconn.PgError{Code: "42803"}, true},
		"a syntax error":               {&pgconn.PgError{Code: "42601"}, true},
		"a table that is not made yet": {&pgconn.PgError{Code: "42P01"}, false},
		"a column that is not yet":     {&pgconn.PgError{Code: "42703"}, false},
		"a server that shuts down":     {&pgconn.PgError{Code: "57P01"}, false},
		"a connection that is cut":     {io.ErrUnexpectedEOF, false},
		"no error":                     {nil, false},
	} {
		require.Equal(t, test.bad, isBadQuery(test.err), sentence)
		if test.err != nil {
			require.Equal(t, test.bad, isBadQuery(fmt.Errorf("count runs: %w", test.err)), sentence)
		}
	}
}
