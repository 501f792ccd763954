package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/zapr"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// clock is one that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time                         { return c.now }
func (c *clock) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }

func TestAnOutageOfTheDatabaseIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zapcore.InfoLevel)
	now := &clock{time.Unix(1_700_000_000, 0)}
	log := zapr.NewLogger(zap.New(&quiet{Core: core, outages: &outages{}}, zap.WithClock(now)))
	login := fmt.Errorf("claim tasks: %w", &pgconn.PgError{Severity: "FATAL", Code: "28P01", Message: "password authentication failed"})
	readOnly := fmt.Errorf("claim tasks: %w", &pgconn.PgError{Code: "25006"})
	for range 90 { // a second each
		log.WithName("dispatch").Error(login, "claim failed, will retry")
		log.WithName("follow").Error(login, "run failed, will retry")
		now.now = now.now.Add(time.Second)
	}
	log.Error(readOnly, "run failed, will retry")
	require.Len(t, lines.All(), 3)
	first, second := lines.All()[0].ContextMap(), lines.All()[1].ContextMap()
	require.Equal(t, "LoginRefused", first["class"])
	require.Contains(t, first["reason"], "check the user and the password")
	require.EqualValues(t, 0, first["linesLeftOut"])
	require.EqualValues(t, 119, second["linesLeftOut"])
	require.Equal(t, "ReadOnly", lines.All()[2].ContextMap()["class"])
}

func TestOtherErrorsAreAllLogged(t *testing.T) {
	t.Parallel()
	core, lines := observer.New(zapcore.InfoLevel)
	log := zapr.NewLogger(zap.New(&quiet{Core: core, outages: &outages{}}))
	for range 3 {
		log.Error(errors.New("no such stage"), "task refused")
		log.Info("starting")
	}
	require.Len(t, lines.All(), 6)
}

func TestTheTokenBucketAtWorkIsLoggedForDebuggingAlone(t *testing.T) {
	t.Parallel()
	for level, want := range map[zapcore.Level]int{zapcore.InfoLevel: 0, zapcore.DebugLevel: 1} {
		core, lines := observer.New(level)
		zapr.NewLogger(zap.New(&quiet{Core: core, outages: &outages{}})).Info(throttled)
		require.Len(t, lines.All(), want, level)
	}
}
