package sqlstore_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
	"github.com/sengu-dev/sengu/internal/sqlstore/postgrestest"
)

// dial opens a connection of the test's own.
func dial(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestAServerThatIsDown(t *testing.T) {
	server := postgres(t)
	var logs strings.Builder
	s, err := sqlstore.Open(t.Context(), server.Database(t), sqlstore.Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Register(t.Context(), "slack"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(1))
	t.Cleanup(func() { server.Restart(t) })
	server.Kill(t)
	n, err := s.Append(t.Context(), event(2))
	wantUnavailable(t, err, "does not answer (")
	if n != 0 {
		t.Errorf("%d were new", n)
	}
	wantUnavailable(t, s.Ping(t.Context()), "does not answer (")
	server.Restart(t)
	mustAppend(t, s, event(2))
	if got := pendingKeys(t, s, "slack"); len(got) != 2 {
		t.Errorf("pending %v, want two", got)
	}
	if text := logs.String(); strings.Contains(text, postgrestest.Password) || strings.Contains(text, url.QueryEscape(postgrestest.Password)) {
		t.Errorf("the password is in the log: %s", text)
	}
}

// TestARestartBetweenTwoCalls: the connections of the pool are all dead, and the caller need not know.
func TestARestartBetweenTwoCalls(t *testing.T) {
	s := open(t, postgres(t).Database(t))
	mustAppend(t, s, event(1))
	postgres(t).Kill(t)
	postgres(t).Restart(t)
	mustAppend(t, s, event(2))
}

func TestConnectionsThatAreCut(t *testing.T) {
	address := postgres(t).Database(t)
	s := open(t, address)
	admin := dial(t, address)
	for n := range 20 {
		mustAppend(t, s, event(n))
		if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'sengu'`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheServerRefuses(t *testing.T) {
	address := postgres(t).Database(t)
	cases := map[string]struct {
		change func(u *url.URL)
		says   string
	}{
		"Password": {func(u *url.URL) { u.User = url.UserPassword("sengu", "hunter2") }, "refuses the user or the password (FATAL: password authentication failed for user \"sengu\" (SQLSTATE 28P01))"},
		"Database": {func(u *url.URL) { u.Path = "/none" }, "does not exist: make it with CREATE DATABASE"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(u)
			_, err = sqlstore.Open(t.Context(), u.String(), sqlstore.Options{})
			wantUnavailable(t, err, tc.says)
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), postgrestest.Password) {
				t.Errorf("%q has the password", err)
			}
		})
	}
}

// TestWhatAServerSays has a real server raise the errors that it would raise on a full disk and the like.
func TestWhatAServerSays(t *testing.T) {
	address := postgres(t).Database(t)
	s := open(t, address)
	admin := dial(t, address)
	exec := func(statement string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	for code, says := range map[string]string{
		"53100": "is full: free some space or enlarge the volume; nothing was written",
		"55P03": "locked: it is recording or has stopped in the middle of it",
		"25006": "is read-only, as a standby is: let the URL name the primary",
		"42501": "make it the owner of the database",
		"53300": "cannot do it now (ERROR: raised (SQLSTATE 53300))",
		"40001": "cannot do it now (ERROR: raised (SQLSTATE 40001))",
	} {
		t.Run(code, func(t *testing.T) {
			exec(`CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
				$$ BEGIN RAISE EXCEPTION 'raised' USING ERRCODE = '` + code + `'; END $$`)
			exec(`CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()`)
			_, err := s.Append(t.Context(), event(1))
			wantUnavailable(t, err, says)
			exec(`DROP TRIGGER fail ON events`)
		})
	}
	// Lost against another transaction twice, and not a third time.
	exec(`CREATE SEQUENCE attempts`)
	exec(`CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN IF nextval('attempts') < 3 THEN RAISE EXCEPTION 'raised' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$`)
	exec(`CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()`)
	mustAppend(t, s, event(1))
}

// TestAnotherReplicaStopsWhileItRecords has another hold the lock of recording.
func TestAnotherReplicaStopsWhileItRecords(t *testing.T) {
	address := postgres(t).Database(t)
	s := open(t, address)
	if err := s.Register(t.Context(), "slack"); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(1))
	tx, err := dial(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sqlstore.BeginRecording); err != nil {
		t.Fatal(err)
	}
	var timeout string
	if err := tx.QueryRow(t.Context(), "SHOW idle_in_transaction_session_timeout").Scan(&timeout); err != nil || timeout != "20s" {
		t.Errorf("who stops while recording is cut off after %q, want 20s: %v", timeout, err)
	}
	// More callers than there are connections.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ended := make(chan error)
	for n := range 20 {
		go func() {
			_, err := s.Append(ctx, event(10+n))
			ended <- err
		}()
	}
	if got := pendingKeys(t, s, "slack"); len(got) != 1 {
		t.Errorf("pending %v", got)
	}
	if err := s.Acknowledge(t.Context(), "slack", event(1).Key); err != nil {
		t.Errorf("what needs no lock goes on: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("what needs no lock has waited for it")
	}
	for range 20 {
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("appended meanwhile: %v", err)
		}
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(2))
	if n := len(all(t, s, history.Filter{})); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestRegisterWaitsForWhatIsBeingRecorded stops an append in the middle, after it has looked for sinks, and registers one.
func TestRegisterWaitsForWhatIsBeingRecorded(t *testing.T) {
	const gate = 42
	address := postgres(t).Database(t)
	s, replica := open(t, address), open(t, address)
	if err := s.Register(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	admin := dial(t, address)
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$`)
	exec(`CREATE TRIGGER wait BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION wait()`)
	exec(`SELECT pg_advisory_lock($1)`, gate)

	var g errgroup.Group
	g.Go(func() error {
		_, err := s.Append(t.Context(), event(1))
		return err
	})
	for !waiting(t, admin, 1) { // the append, at the gate
		if t.Context().Err() != nil {
			t.FailNow()
		}
	}
	var recordedBefore int
	registered := make(chan struct{})
	g.Go(func() error {
		defer close(registered)
		if err := replica.Register(t.Context(), "new"); err != nil {
			return err
		}
		page, err := replica.List(t.Context(), history.Filter{})
		recordedBefore = len(page.Events)
		return err
	})
	for over := false; !over && !waiting(t, admin, 2); { // the sink, for the append
		select {
		case <-registered:
			over = true
		default:
		}
	}
	exec(`SELECT pg_advisory_unlock($1)`, gate)
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if told := len(pendingKeys(t, s, "new")); recordedBefore+told != 1 {
		t.Errorf("the event was recorded after the sink was registered, and the sink is not told (%d before, %d told)", recordedBefore, told)
	}
}

// TestRecordingSeesTheSinkThatItWaitedFor has an append wait for a replica that registers a sink.
func TestRecordingSeesTheSinkThatItWaitedFor(t *testing.T) {
	address := postgres(t).Database(t)
	s := open(t, address)
	replica, admin := dial(t, address), dial(t, address)
	tx, err := replica.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), sqlstore.BeginRecording); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	g.Go(func() error {
		_, err := s.Append(t.Context(), event(1))
		return err
	})
	for !waiting(t, admin, 1) {
		if t.Context().Err() != nil {
			t.FailNow()
		}
	}
	if _, err := tx.Exec(t.Context(), "INSERT INTO sinks (name, registered) VALUES ('new', 0)"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Commit(t.Context()), g.Wait()); err != nil {
		t.Fatal(err)
	}
	if got := pendingKeys(t, s, "new"); len(got) != 1 {
		t.Errorf("pending %v, want the event that was recorded after the sink", got)
	}
}

// waiting reports whether so many connections to the database wait for an advisory lock.
func waiting(t *testing.T, admin *pgx.Conn, n int) bool {
	t.Helper()
	var found int
	err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&found)
	if err != nil {
		t.Fatal(err)
	}
	return found == n
}
