package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// openFile opens a fresh file, and returns its path.
func openFile(t *testing.T) (*sqlstore.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.db")
	return open(t, path), path
}

func wantUnavailable(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, sqlstore.ErrUnavailable) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v; want one line that is ErrUnavailable and says %q", err, says)
	}
}

func TestTheFileIsForItsOwnerOnly(t *testing.T) {
	s, path := openFile(t)
	mustAppend(t, s, event(1))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path+suffix, info.Mode(), err)
		}
	}
}

func TestAURLOfAFile(t *testing.T) {
	s, path := openFile(t)
	mustAppend(t, s, event(1))
	if n := len(all(t, open(t, "sqlite://"+path), history.Filter{})); n != 1 {
		t.Errorf("%d events are found by the URL, want 1", n)
	}
}

func TestAFullDisk(t *testing.T) {
	s, path := openFile(t)
	mustAppend(t, s, event(0))
	if err := s.Exec(t.Context(), "PRAGMA max_page_count = 60"); err != nil {
		t.Fatal(err)
	}
	var batch []history.Event
	for n := range 500 {
		batch = append(batch, event(n))
	}
	n, err := s.Append(t.Context(), batch...)
	wantUnavailable(t, err, "record events: the disk of "+path+" is full: free some space or enlarge the volume; nothing was written")
	if got := len(all(t, s, history.Filter{})); got != 1 || n != 0 {
		t.Errorf("%d events are there, and %d are said to be new", got, n)
	}
	if err := s.Exec(t.Context(), "PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Append(t.Context(), batch...); n != 499 || err != nil {
		t.Errorf("%d were new, want 499: %v", n, err)
	}
}

func TestALockedFile(t *testing.T) {
	s, path := openFile(t)
	other, err := sql.Open("sqlite", path+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Append(ctx, event(1)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a caller with less patience gets %v", err)
	}
	if _, err := s.List(t.Context(), history.Filter{}); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	_, err = s.Append(t.Context(), event(1))
	wantUnavailable(t, err, "another process has kept "+path+" locked for more than 5s")
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(1))
}

func TestAFileThatMayNotBeWritten(t *testing.T) {
	s, path := openFile(t)
	if err := s.Exec(t.Context(), "PRAGMA query_only = 1"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Append(t.Context(), event(1))
	wantUnavailable(t, err, path+" may not be written")
}

func TestAVanishedFile(t *testing.T) {
	s, path := openFile(t)
	mustAppend(t, s, event(1))
	away := path + ".away"
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	_, err := s.Append(t.Context(), event(2))
	wantUnavailable(t, err, path+" has vanished: put it or its volume back")
	_, err = s.List(t.Context(), history.Filter{})
	wantUnavailable(t, err, "has vanished")
	wantUnavailable(t, s.Ping(t.Context()), "has vanished")
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made anew")
	}

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Append(t.Context(), event(2))
	wantUnavailable(t, err, path+" was replaced while it was in use: restart Sengu to use the new file")

	if err := os.Rename(away, path); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, event(2))
	if n := len(all(t, s, history.Filter{})); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestAFileThatVanishesMeanwhile takes the file away between the beginning and the end of a transaction.
func TestAFileThatVanishesMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.db")
	away := false
	s := openAt(t, path, func() time.Time {
		if away {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Error(err)
			}
		}
		return start
	})
	away = true
	err := s.Register(t.Context(), "slack")
	wantUnavailable(t, err, "has vanished")
}

func TestADamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record.db")
	s, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		mustAppend(t, s, event(n))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(content[8<<10:], bytes.Repeat([]byte("damage"), len(content))) // the header stays
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = sqlstore.Open(t.Context(), path, sqlstore.Options{})
	if err == nil {
		_, err = s.List(t.Context(), history.Filter{})
		_ = s.Close()
	}
	wantUnavailable(t, err, path+" is damaged (")

	if err := os.WriteFile(path, bytes.Repeat([]byte("This is a text. "), 100), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.Open(t.Context(), path, sqlstore.Options{})
	wantUnavailable(t, err, path+" is no SQLite database")
	if after, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(after, []byte("This is a text. ")) {
		t.Errorf("a file of another kind was changed: %v", err)
	}
}

func TestAClosedStore(t *testing.T) {
	s, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "record.db"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), event(1)); !errors.Is(err, sqlstore.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if _, err := s.List(t.Context(), history.Filter{}); !errors.Is(err, sqlstore.ErrClosed) {
		t.Errorf("list: %v", err)
	}
}
