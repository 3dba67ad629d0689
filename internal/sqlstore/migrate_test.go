package sqlstore_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// TestUpgradeFromTheFirstSchema fills a database as the first version did, and opens it.
func TestUpgradeFromTheFirstSchema(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			url := d.create(t)
			first, err := sqlstore.OpenAt(t.Context(), url, 1)
			if err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(event(1))
			if err != nil {
				t.Fatal(err)
			}
			e := event(1)
			err = first.Exec(t.Context(), `INSERT INTO events (key, time, kind, fleet, service, environment, release, release_group, body)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				e.Key, e.Time.UnixNano(), string(e.Kind), e.Fleet, e.Service, e.Environment, e.Release, e.Group, string(body))
			if err := errors.Join(err, first.Close()); err != nil {
				t.Fatal(err)
			}
			s := open(t, url)
			if diff := cmp.Diff([]history.Event{e}, all(t, s, history.Filter{Release: e.Release})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if err := s.Register(t.Context(), "slack"); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Append(t.Context(), e, event(2)); n != 1 || err != nil {
				t.Errorf("%d were new, want 1: %v", n, err)
			}
			if diff := cmp.Diff([]string{event(2).Key}, pendingKeys(t, s, "slack")); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	inEach(t, func(t *testing.T, s *sqlstore.Store, url string) {
		mustAppend(t, s, event(1))
		if err := s.Exec(t.Context(), "INSERT INTO sengu_schema (version_id, is_applied) VALUES (99, TRUE)"); err != nil {
			t.Fatal(err)
		}
		_, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
		want := "has schema 99, and this Sengu knows schemas up to 4: a newer Sengu has used it; " +
			"run that version again, or restore the backup from before the update"
		if !errors.Is(err, sqlstore.ErrRefused) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("a newer database: %v; want %s", err, want)
		}
		// The one that is open goes on until it is replaced.
		mustAppend(t, s, event(2))
	})
}

// TestReplicasOpenAtOnce has several replicas find a new database.
func TestReplicasOpenAtOnce(t *testing.T) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			url := d.create(t)
			var g errgroup.Group
			for n := range 4 {
				g.Go(func() error {
					s, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
					if err != nil {
						return err
					}
					_, err = s.Append(t.Context(), event(n))
					return errors.Join(err, s.Close())
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			if n := len(all(t, open(t, url), history.Filter{})); n != 4 {
				t.Errorf("%d events, want 4", n)
			}
		})
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	folder := t.TempDir()
	cases := map[string]struct {
		url, says string
	}{
		"Nothing":     {"", "no database is named: give a path, or postgres://user:password@host/database"},
		"Memory":      {":memory:", `":memory:" names no file`},
		"Folder":      {folder + "/", "names no file"},
		"IsFolder":    {folder, "cannot be opened: look whether its folder is there"},
		"NoFolder":    {folder + "/none/x.db", "the folder of " + folder + "/none/x.db does not exist: make it, or mount the volume that it is on"},
		"TwoSlashes":  {"sqlite://x.db", "a SQLite URL is sqlite:///path/file.db, with three slashes and nothing after the path"},
		"WithQuery":   {"sqlite:///x.db?mode=ro", "a SQLite URL is sqlite:///path/file.db"},
		"OtherKind":   {"mysql://user:hunter2@host/db", `databases of the kind "mysql" are not known`},
		"BadURL":      {"postgres://user:hunter2@host:port/db", "the PostgreSQL URL cannot be read"},
		"WorseURL":    {"postgres://user:hunter2/x@[host/db", "the PostgreSQL URL cannot be read"},
		"NoSuchMode":  {"postgres://user:hunter2@host/db?sslmode=maybe", "the PostgreSQL URL cannot be read"},
		"NobodyThere": {"postgres://user:hunter2@127.0.0.1:1/db", "the PostgreSQL database db at 127.0.0.1:1 does not answer"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := sqlstore.Open(t.Context(), tc.url, sqlstore.Options{})
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if !strings.HasPrefix(err.Error(), "open the record: ") || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q does not say %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has the password or a second line", err)
			}
		})
	}
}
