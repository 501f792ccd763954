package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Time-outs that each session asks the server for, so that a client that vanished keeps
// its rows locked no longer than this. One that DATABASE_URL sets goes before.
const (
	// idleInTransactionTimeout ends a session whose client leaves a transaction open. Two
	// sessions that wait for each other's rows are over after twice as long.
	idleInTransactionTimeout = 5 * time.Second
	// statementTimeout ends a statement whose client has given up, or is gone.
	statementTimeout = PlanTimeout + 5*time.Second
	// tcpUserTimeout ends a session whose client does not acknowledge what it is sent.
	tcpUserTimeout = 15 * time.Second
	// idlePingTimeout is how long a connection that was idle may take to prove that it is
	// alive before another one is used.
	idlePingTimeout = time.Second
)

// parse returns how to connect. onReadOnly is called, from any goroutine, when a session
// turns out to be read-only; it must not block.
func parse(config Config, onReadOnly func()) (*pgxpool.Config, error) {
	poolConfig, err := pgxpool.ParseConfig(config.URL)
	if err != nil {
		// What pgx says of a URL quotes it, so that nothing of it is passed on.
		return nil, errors.New("DATABASE_URL is not a Postgres connection string; want postgres://user:password@host:5432/database")
	}
	poolConfig.MaxConns = config.MaxConns
	poolConfig.PingTimeout = idlePingTimeout
	poolConfig.BeforeConnect = config.readPassword
	connect := poolConfig.ConnConfig
	connect.ConnectTimeout = ConnectTimeout
	connect.RuntimeParams["search_path"] = pgx.Identifier{config.Schema}.Sanitize()
	connect.RuntimeParams["application_name"] = config.ApplicationName
	if config.ApplicationName == "" {
		connect.RuntimeParams["application_name"] = "penstock"
	}
	if config.ReadOnly {
		connect.RuntimeParams["default_transaction_read_only"] = "on"
	}
	setTimeouts(connect.RuntimeParams)
	check := checker{
		schema: config.Schema, wanted: connect.ValidateConnect,
		anySession:  config.ReadOnly || sets(config.URL, "target_session_attrs") || os.Getenv("PGTARGETSESSIONATTRS") != "",
		anyExecMode: sets(config.URL, "default_query_exec_mode"),
	}
	connect.ValidateConnect = check.connection
	if !config.ReadOnly {
		connect.OnPgError = endReadOnly(connect.OnPgError, onReadOnly)
	}
	if config.OnAcquire != nil {
		connect.Tracer = acquireTimer{told: config.OnAcquire}
	}
	return poolConfig, nil
}

// setTimeouts adds the time-outs that are not among the parameters yet.
func setTimeouts(params map[string]string) {
	for name, timeout := range map[string]time.Duration{
		"idle_in_transaction_session_timeout": idleInTransactionTimeout,
		"statement_timeout":                   statementTimeout,
		"tcp_user_timeout":                    tcpUserTimeout,
	} {
		if _, given := params[name]; !given {
			params[name] = strconv.FormatInt(timeout.Milliseconds(), 10)
		}
	}
}

// sets tells whether a connection string, of either form, has the parameter.
func sets(connection, parameter string) bool {
	if parsed, err := url.Parse(connection); err == nil && strings.Contains(connection, "://") {
		return parsed.Query().Has(parameter)
	}
	return regexp.MustCompile(`(^|\s)` + parameter + `\s*=`).MatchString(connection)
}

// readPassword takes the password for a new connection from where it may have changed:
// the password file, or the passfile of the connection string.
func (c Config) readPassword(_ context.Context, connect *pgx.ConnConfig) error {
	if c.PasswordFile != "" {
		password, err := os.ReadFile(c.PasswordFile)
		if err != nil {
			return &Problem{ProblemPasswordFile, "the file of DATABASE_PASSWORD_FILE can't be read: mount the Secret that holds the password, or correct the path", err}
		}
		connect.Password = strings.TrimRight(string(password), "\r\n")
		return nil
	}
	if sets(c.URL, "passfile") || os.Getenv("PGPASSFILE") != "" {
		if again, err := pgx.ParseConfig(c.URL); err == nil {
			connect.Password = again.Password
		}
	}
	return nil
}

// endReadOnly closes a session that answers that it is read-only.
func endReadOnly(before pgconn.PgErrorHandler, onReadOnly func()) pgconn.PgErrorHandler {
	return func(connection *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code == readOnlyTransaction {
			onReadOnly()
			return false
		}
		return before(connection, err)
	}
}

// checker looks at each new connection before it is used.
type checker struct {
	schema string
	// wanted is what target_session_attrs asks for, where the connection string does.
	wanted                  pgconn.ValidateConnectFunc
	anySession, anyExecMode bool
}

// connection refuses a session that can't write, one whose tables would be those of
// another schema, and one through a pooler that can't carry prepared statements.
func (c checker) connection(ctx context.Context, connection *pgconn.PgConn) error {
	if c.wanted != nil {
		if err := c.wanted(ctx, connection); err != nil {
			return err
		}
	}
	const query = "SELECT current_setting('transaction_read_only'), coalesce(current_schema(), ''), pg_backend_pid()"
	results, err := connection.Exec(ctx, query).ReadAll()
	if err != nil {
		return fmt.Errorf("look at the new session: %w", err)
	}
	row := results[0].Rows[0]
	readOnly, schema, backend := string(row[0]), string(row[1]), string(row[2])
	// A pooler gives its client a number of its own, by which to cancel.
	pooled := backend != strconv.FormatUint(uint64(connection.PID()), 10)
	switch {
	case readOnly == "on" && !c.anySession:
		return errReadOnly(nil)
	case schema != "" && schema != c.schema: // none: it is to be created
		return errOtherSchema(c.schema, schema)
	case pooled && !c.anyExecMode:
		return errPooler(nil)
	}
	return nil
}
