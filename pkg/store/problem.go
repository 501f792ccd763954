package store

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATEs that are told from others.
const (
	readOnlyTransaction    = "25006"
	undefinedTable         = "42P01"
	insufficientPrivilege  = "42501"
	tooManyConnections     = "53300"
	unknownDatabase        = "3D000"
	protocolViolation      = "08P01"
	duplicateStatement     = "42P05"
	unknownStatement       = "26000"
	queryCanceled          = "57014"
	lockNotAvailable       = "55P03"
	classAuthorization     = "28"
	classOperatorShutsDown = "57P0"
)

// ProblemClass is a short name of what keeps Penstock from its tables, for probes, log
// lines and alerts.
type ProblemClass string

// The classes.
const (
	// ProblemReadOnly: the server can't write, as during a failover.
	ProblemReadOnly ProblemClass = "ReadOnly"
	// ProblemUnreachable: nobody answers at the address.
	ProblemUnreachable ProblemClass = "Unreachable"
	// ProblemTimeout: the server did not answer in time.
	ProblemTimeout ProblemClass = "Timeout"
	// ProblemLogin: user, password or database is refused.
	ProblemLogin ProblemClass = "LoginRefused"
	// ProblemPasswordFile: the password file can't be read.
	ProblemPasswordFile ProblemClass = "PasswordFile"
	// ProblemTooMany: the server has no connection left.
	ProblemTooMany ProblemClass = "TooManyConnections"
	// ProblemRestarting: the server starts or stops.
	ProblemRestarting ProblemClass = "Restarting"
	// ProblemRights: the role lacks a right.
	ProblemRights ProblemClass = "RightMissing"
	// ProblemSchema: the session's tables are those of another schema.
	ProblemSchema ProblemClass = "OtherSchema"
	// ProblemPooler: a pooler between can't carry what Penstock needs.
	ProblemPooler ProblemClass = "Pooler"
	// ProblemMigrating: the tables are not there yet, or older than this Penstock.
	ProblemMigrating ProblemClass = "Migrating"
	// ProblemNewer: the tables are of a newer Penstock.
	ProblemNewer ProblemClass = "NewerSchema"
)

// Problem is what keeps Penstock from its tables: a class, and a sentence that names the
// cause and what to do. It never holds a secret, an address or a user's name.
type Problem struct {
	Class    ProblemClass
	Sentence string
	cause    error
}

// Error implements error.
func (p *Problem) Error() string {
	if p.cause == nil {
		return p.Sentence
	}
	return p.Sentence + ": " + p.cause.Error()
}

// Unwrap returns what the server or the network said, where there is more than the sentence.
func (p *Problem) Unwrap() error { return p.cause }

func errReadOnly(cause error) *Problem {
	return &Problem{ProblemReadOnly, "Postgres is read-only, as a standby or during a failover: Penstock waits for a server that can write", cause}
}

func errOtherSchema(want, have string) *Problem {
	return &Problem{ProblemSchema, fmt.Sprintf("the session uses schema %q instead of DATABASE_SCHEMA %q, as behind a pooler that ignores search_path: run ALTER ROLE … IN DATABASE … SET search_path = %s for Penstock's role, and have the pooler reconnect", have, want, want), nil}
}

func errPooler(cause error) *Problem {
	return &Problem{ProblemPooler, "DATABASE_URL leads through a connection pooler: add default_query_exec_mode=exec to it, since prepared statements clash where sessions are shared (or =cache_statement where the pooler gives each client a session of its own)", cause}
}

// ProblemOf returns what an error says about the database, or nil where it is about
// something else, such as the data.
func ProblemOf(err error) *Problem {
	var known *Problem
	if errors.As(err, &known) {
		return known
	}
	var pgError *pgconn.PgError
	if errors.As(err, &pgError) {
		return problemOf(pgError)
	}
	switch {
	case errors.Is(err, ErrNewerSchema):
		return &Problem{ProblemNewer, "the tables are of a newer Penstock: run that one, or restore the backup that was made before the upgrade", err}
	case pgconn.Timeout(err):
		return &Problem{ProblemTimeout, "Postgres does not answer in time", err}
	case errors.Is(err, pgconn.ErrReadOnlyConnection):
		return errReadOnly(err)
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	if errors.As(err, &connect) || errors.As(err, &network) {
		return &Problem{ProblemUnreachable, "Postgres can't be reached at the address of DATABASE_URL", err}
	}
	return nil
}

// problemOf is ProblemOf for what the server says.
func problemOf(said *pgconn.PgError) *Problem {
	switch said.Code {
	case queryCanceled: // is of one statement
		return nil
	case readOnlyTransaction:
		return errReadOnly(said)
	case undefinedTable:
		return &Problem{ProblemMigrating, "the tables are being created", said}
	case insufficientPrivilege:
		return &Problem{ProblemRights, "the role of DATABASE_URL lacks a right: it must own the schema's tables, or be allowed to create the schema", said}
	case tooManyConnections:
		return &Problem{ProblemTooMany, "Postgres has no connection left: lower DATABASE_MAX_CONNS, or raise max_connections", said}
	case unknownDatabase:
		return &Problem{ProblemLogin, "the database of DATABASE_URL does not exist", said}
	case duplicateStatement, unknownStatement:
		return errPooler(said)
	case protocolViolation:
		if strings.Contains(said.Message, "startup parameter") {
			return &Problem{ProblemPooler, "the pooler refuses a session parameter: list search_path, statement_timeout, idle_in_transaction_session_timeout and tcp_user_timeout in its ignore_startup_parameters, and set them with ALTER ROLE … IN DATABASE … SET for Penstock's role", said}
		}
	}
	switch {
	case strings.HasPrefix(said.Code, classAuthorization):
		return &Problem{ProblemLogin, "Postgres refuses the login: check the user and the password of DATABASE_URL or DATABASE_PASSWORD_FILE", said}
	case strings.HasPrefix(said.Code, classOperatorShutsDown):
		return &Problem{ProblemRestarting, "Postgres starts or stops", said}
	}
	return nil
}
