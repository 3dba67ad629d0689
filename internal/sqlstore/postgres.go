package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	postgresConnections = 8
	postgresIdle        = 4
	connectTimeout      = 10 * time.Second
	// recordLock and migrationLock are keys of advisory locks; they mean nothing but must stay.
	recordLock    = 0x73656e67755f31
	migrationLock = 0x73656e67755f32
)

// beginRecording takes the lock under which events are recorded, for the rest of the transaction. A process that stops
// in the middle of one loses its connection soon, so that the others go on.
var beginRecording = fmt.Sprintf("SELECT set_config('lock_timeout', '10s', true), "+
	"set_config('idle_in_transaction_session_timeout', '20s', true), pg_advisory_xact_lock(%d)", recordLock)

// postgres prepares the Store for a server. It is dialled by the function that it returns.
func (s *Store) postgres(databaseURL string) (func(context.Context) error, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		// The error repeats the URL, and hides the password only where it recognizes one.
		return nil, errors.New("open the record: the PostgreSQL URL cannot be read: it is postgres://user:password@host:port/database?sslmode=…, " +
			"with %40 for @ and the like in user and password, and certificate files that exist")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "sengu"
	}
	s.name = "PostgreSQL database " + config.Database + " at " + net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	s.dialect = dialect{
		numbered: true, begin: beginRecording, isolation: sql.LevelReadCommitted,
		explain: explainPostgres, again: againPostgres,
	}
	return func(ctx context.Context) error {
		s.write = stdlib.OpenDB(*config)
		s.read = s.write
		s.write.SetMaxOpenConns(postgresConnections)
		s.write.SetMaxIdleConns(postgresIdle)
		s.write.SetConnMaxIdleTime(5 * time.Minute)
		s.write.SetConnMaxLifetime(time.Hour)
		err := s.write.PingContext(ctx)
		if err != nil {
			_ = s.closePools()
		}
		return err
	}, nil
}

// explainPostgres knows the codes of appendix A of the manual of PostgreSQL.
func explainPostgres(name string, err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		if lost(err) {
			var connecting *pgconn.ConnectError
			if errors.As(err, &connecting) && connecting.Unwrap() != nil {
				err = connecting.Unwrap() // the rest of it repeats the name
			}
			return "the " + name + " does not answer (" + line(err) + "): look whether it runs and is in reach"
		}
		return ""
	}
	switch e.Code {
	case "53100":
		return "the disk of the " + name + " is full: free some space or enlarge the volume; nothing was written"
	case "55P03":
		return "another Sengu keeps the " + name + " locked: it is recording or has stopped in the middle of it; this passes by itself"
	case "25006":
		return "the " + name + " is read-only, as a standby is: let the URL name the primary"
	case "28P01", "28000":
		return "the " + name + " refuses the user or the password (" + line(e) + ")"
	case "3D000":
		return "the " + name + " does not exist: make it with CREATE DATABASE"
	case "42501":
		return "the user may not do that in the " + name + " (" + line(e) + "): make it the owner of the database"
	}
	for _, class := range []string{"08", "40", "53", "57", "58", "XX"} {
		if strings.HasPrefix(e.Code, class) {
			return "the " + name + " cannot do it now (" + line(e) + ")"
		}
	}
	return ""
}

// lost reports whether the server could not be reached or the connection to it ended.
func lost(err error) bool {
	var connecting *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connecting) ||
		!errors.Is(err, context.DeadlineExceeded) && (errors.As(err, &network) || broken(err))
}

// broken reports whether a connection that was open is no more.
func broken(err error) bool {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		return false
	}
	var operation *net.OpError
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, pgconn.ErrConnClosed) || pgconn.SafeToRetry(err) ||
		errors.As(err, &operation) || isEnd(err)
}

// againPostgres: connections of the pool do not notice that the server was restarted until they are used; the next may be
// a fresh one.
func againPostgres(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		// Ended by an administrator, or lost against another transaction.
		return e.Code == "57P01" || e.Code == "40001" || e.Code == "40P01"
	}
	return broken(err)
}
