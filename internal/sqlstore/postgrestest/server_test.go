package postgrestest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/sqlstore/postgrestest"
)

func TestServerComesBackWithItsData(t *testing.T) {
	defer goleak.VerifyNone(t)
	server, err := postgrestest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	url := server.Database(t)
	if other := server.Database(t); other == url {
		t.Errorf("two databases have the URL %s", url)
	}
	exec := func(statement string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")
	server.Kill(t)
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a killed server answers")
	}
	server.Restart(t)
	server.Restart(t)
	exec("UPDATE kept SET n = 1 / n")
}
