package main

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/penstock-cd/penstock/pkg/store"
)

const (
	// throttled is what client-go says in each burst: that the token bucket does its work.
	throttled = "Waited before sending request"
	// outageInterval is how often one class of problem of the database is logged.
	outageInterval = time.Minute
)

// quiet is a log without what is expected: while the database can't be used every loop
// fails again and again, and one line a minute says so with the reason.
type quiet struct {
	zapcore.Core
	outages *outages
}

// outages counts the lines that were left out, by class of problem.
type outages struct {
	mu   sync.Mutex
	last map[store.ProblemClass]time.Time
	left map[store.ProblemClass]int
}

// With implements zapcore.Core.
func (q *quiet) With(fields []zapcore.Field) zapcore.Core {
	return &quiet{Core: q.Core.With(fields), outages: q.outages}
}

// Check implements zapcore.Core.
func (q *quiet) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Message == throttled && !q.Enabled(zapcore.DebugLevel) {
		return checked
	}
	if q.Enabled(entry.Level) {
		return checked.AddCore(entry, q)
	}
	return checked
}

// Write implements zapcore.Core.
func (q *quiet) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if problem := problemIn(fields); problem != nil {
		left, tell := q.outages.count(problem.Class, entry.Time)
		if !tell {
			return nil
		}
		fields = append(fields[:len(fields):len(fields)],
			zap.String("class", string(problem.Class)), zap.String("reason", problem.Sentence), zap.Int("linesLeftOut", left))
	}
	return q.Core.Write(entry, fields)
}

// problemIn returns what the line's error says about the database, or nil.
func problemIn(fields []zapcore.Field) *store.Problem {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			return store.ProblemOf(err)
		}
	}
	return nil
}

// count tells whether a line is to be written, and how many of its class were left out
// since the last one.
func (o *outages) count(class store.ProblemClass, now time.Time) (left int, tell bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last == nil {
		o.last, o.left = map[store.ProblemClass]time.Time{}, map[store.ProblemClass]int{}
	}
	if last, known := o.last[class]; known && now.Sub(last) < outageInterval {
		o.left[class]++
		return 0, false
	}
	left = o.left[class]
	o.last[class], o.left[class] = now, 0
	return left, true
}
