package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	known    = `{"config":{"protocol_version":"v1.0.0"}} {"osv":{"id":"GO-1","summary":"spills"}}`
	imported = `{"finding":{"osv":"GO-1","trace":[{"module":"example.com/m","version":"v1.0.0","package":"example.com/m/p"}]}}`
	called   = `{"finding":{"osv":"GO-1","fixed_version":"v1.0.1","trace":[{"module":"example.com/m","version":"v1.0.0","function":"F"}]}}`
	unmended = `{"finding":{"osv":"GO-1","trace":[{"module":"example.com/m","version":"v1.0.0","function":"F"}]}}`
)

func TestOnlyWhatIsCalledAndNotAcceptedFails(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		scan, accepted string
		prints, fails  string
	}{
		"nothing found": {known, "", "nothing vulnerable is called", ""},
		"what is imported and not called is well":  {known + imported, "", "nothing vulnerable is called", ""},
		"what is called fails":                     {known + imported + called, "", "GO-1 in example.com/m v1.0.0 (mended in v1.0.1): spills", "1 vulnerabilities"},
		"what is called and mended nowhere":        {known + unmended, "", "(mended nowhere): spills", "1 vulnerabilities"},
		"what two modules call fails once":         {known + called + known + called, "", "GO-1 in example.com/m", "1 vulnerabilities"},
		"what is accepted is told":                 {known + called, "GO-1: a reason", "accepted GO-1: a reason", ""},
		"what is accepted without a reason fails":  {known + called, `GO-1: ""`, "GO-1 in example.com/m", "1 vulnerabilities"},
		"what is accepted and gone is to be taken": {known, "GO-1: a reason", "GO-1 is accepted", "1 vulnerabilities"},
		"a scan that printed nothing":              {"", "", "", "govulncheck has printed nothing"},
		"a scan that broke off":                    {known + `{"finding":`, "", "", "unexpected EOF"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "accepted.yaml")
			require.NoError(t, os.WriteFile(file, []byte(test.accepted), 0o600))
			var out bytes.Buffer
			err := run(file, strings.NewReader(test.scan), &out)
			require.Contains(t, out.String(), test.prints)
			if test.fails == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.fails)
		})
	}
}
