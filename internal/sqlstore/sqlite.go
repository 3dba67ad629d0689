package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long a statement waits for another process that holds the file.
const busyTimeout = 5 * time.Second

// sqliteReaders is how many statements read at a time, beside the one writer.
const sqliteReaders = 4

// sqlite prepares the Store for a file. The file is opened by the function that it returns.
func (s *Store) sqlite(path string) (func(context.Context) error, error) {
	if path == "" || path == ":memory:" || filepath.Base(path) == "." || os.IsPathSeparator(path[len(path)-1]) {
		return nil, fmt.Errorf("open the record: %q names no file: give the path of a file on a disk that lasts", path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open the record: %w", err)
	}
	s.path, s.name = path, path
	s.dialect = dialect{explain: explainSQLite, again: againSQLite}
	return s.openSQLite, nil
}

func (s *Store) openSQLite(ctx context.Context) error {
	if err := makeFile(s.path); err != nil {
		return err
	}
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)",
		// Commits reach the disk before they are acknowledged: a notification that was told must not be forgotten.
		"synchronous(FULL)",
		"foreign_keys(1)",
	}}
	var err error
	if s.write, err = openFile(s.path, 1, pragmas, url.Values{"_txlock": {"immediate"}}); err != nil {
		return err
	}
	if s.read, err = openFile(s.path, sqliteReaders, pragmas, url.Values{"_pragma": {"query_only(1)"}}); err != nil {
		_ = s.write.Close()
		return err
	}
	s.file, err = os.Stat(s.path)
	if err == nil {
		err = s.firstPing(ctx)
	}
	if err != nil {
		_ = s.closePools()
	}
	return err
}

// firstPing connects for the first time. Of several processes that make a new file a log of writes at once, SQLite tells
// all but one that it is busy without waiting, as it would wait for locks that they hold themselves.
func (s *Store) firstPing(ctx context.Context) error {
	deadline := time.NewTimer(busyTimeout)
	defer deadline.Stop()
	again := time.NewTicker(busyTimeout / 500)
	defer again.Stop()
	for {
		err := s.write.PingContext(ctx)
		var e *sqlite.Error
		if err == nil || !errors.As(err, &e) || e.Code()&0xff != sqlite3.SQLITE_BUSY {
			return err
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// makeFile makes the file if there is none, for the eyes of its owner only. SQLite would make it as the umask says.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // whoever runs Sengu names the file
	switch {
	case err == nil:
		return f.Close()
	case errors.Is(err, os.ErrExist):
		// It is not opened here: closing it again would undo the locks of others in this process.
		return nil
	case errors.Is(err, os.ErrNotExist):
		return unavailable("the folder of %s does not exist: make it, or mount the volume that it is on", path)
	}
	return unavailable("%s cannot be made: %s", path, line(err))
}

func openFile(path string, connections int, settings ...url.Values) (*sql.DB, error) {
	all := url.Values{}
	for _, values := range settings {
		for key, list := range values {
			all[key] = append(all[key], list...)
		}
	}
	connector, err := sqlite.NewConnector("file://" + (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath() + "?" + all.Encode())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// present fails if the file is not where it was opened. SQLite would go on writing to a deleted file without an error.
func (s *Store) present() error {
	if s.path == "" {
		return nil
	}
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return unavailable("%s has vanished: put it or its volume back; if it is lost, restart Sengu with a backup or without one", s.path)
	case err != nil:
		return unavailable("%s cannot be reached: %s", s.path, line(err))
	case !os.SameFile(info, s.file):
		return unavailable("%s was replaced while it was in use: restart Sengu to use the new file", s.path)
	}
	return nil
}

func explainSQLite(name string, err error) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	switch e.Code() & 0xff { // the rest of the code is a detail
	case sqlite3.SQLITE_FULL:
		return "the disk of " + name + " is full: free some space or enlarge the volume; nothing was written"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Sprintf("another process has kept %s locked for more than %s: look for a backup or a second Sengu that uses it", name, busyTimeout)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return name + " may not be written: let the user that Sengu runs as write the file and its folder"
	case sqlite3.SQLITE_CANTOPEN:
		return name + " cannot be opened: look whether its folder is there, and may be written by the user that Sengu runs as"
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM:
		return "the disk of " + name + " fails (" + line(e) + "): look at the volume"
	case sqlite3.SQLITE_CORRUPT:
		return name + " is damaged (" + line(e) + "): put a backup in its place and restart Sengu"
	case sqlite3.SQLITE_NOTADB:
		return name + " is no SQLite database: name another file, which is made if it is missing"
	}
	return ""
}

// againSQLite: the driver has already waited for locks, and nothing else passes by itself.
func againSQLite(error) bool { return false }
