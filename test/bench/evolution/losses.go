package evolution

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// losses counts what went wrong, by its cause.
type losses struct {
	mu     sync.Mutex
	causes map[string]int
}

func (l *losses) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.causes == nil {
		l.causes = map[string]int{}
	}
	l.causes[causeOf(err)]++
}

// count returns a copy. Of nil it is empty.
func (l *losses) count() map[string]int {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.causes)
}

// causeOf is the step that failed, which begins the error's text, and what kind of
// failure it was.
func causeOf(err error) string {
	step, _, _ := strings.Cut(err.Error(), ":")
	var database *pgconn.PgError
	var network net.Error
	switch {
	case errors.As(err, &database):
		return fmt.Sprintf("%s: SQLSTATE %s", step, database.Code)
	case apierrors.ReasonForError(err) != metav1.StatusReasonUnknown:
		return fmt.Sprintf("%s: %s", step, apierrors.ReasonForError(err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return step + ": connection refused"
	case errors.Is(err, syscall.ECONNRESET):
		return step + ": connection reset"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return step + ": timeout"
	default:
		return step + ": other" // a text may hold a port, and each be another
	}
}

// describe lists causes, the most frequent first.
func describe(lost map[string]int) string {
	if len(lost) == 0 {
		return ""
	}
	causes := slices.SortedFunc(maps.Keys(lost), func(a, b string) int {
		return cmp.Or(cmp.Compare(lost[b], lost[a]), cmp.Compare(a, b))
	})
	parts := make([]string, len(causes))
	for i, cause := range causes {
		parts[i] = fmt.Sprintf("%d × %s", lost[cause], cause)
	}
	return "; lost: " + strings.Join(parts, ", ")
}
