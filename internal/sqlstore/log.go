package sqlstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/history"
)

// MaxLog is how much of a log is kept, in bytes before compression.
const MaxLog = 1 << 20

// SaveLog keeps the log of a Job or check, in place of what was kept for that key. Of more than 1 MiB it keeps the end, from
// the beginning of a line on, after a line that says how much is missing.
func (s *Store) SaveLog(ctx context.Context, key history.LogKey, text []byte) error {
	for _, name := range []string{key.Release, key.Environment, key.Step} {
		if len(name) > maxName || !utf8.ValidString(name) || bytes.ContainsRune([]byte(name), 0) {
			return s.explain(ctx, "save a log", refuse("its release, environment or step is not text of at most %d bytes", maxName))
		}
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(ending(text)); err != nil {
		return fmt.Errorf("save a log: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("save a log: %w", err)
	}
	return s.update(ctx, "save a log", func(ctx context.Context, q queries) error {
		_, err := q.exec(ctx, `INSERT INTO job_logs (release, environment, step, saved, data) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (release, environment, step) DO UPDATE SET saved = excluded.saved, data = excluded.data`,
			key.Release, key.Environment, key.Step, s.now().UnixNano(), packed.Bytes())
		return err
	})
}

// ending is the log, or of a log that is too long a line that says so and its end.
func ending(text []byte) []byte {
	if len(text) <= MaxLog {
		return text
	}
	const room = 100 // for the line
	from := len(text) - MaxLog + room
	if i := bytes.IndexByte(text[from:], '\n'); i >= 0 && i < MaxLog/2 {
		from += i + 1
	}
	return append(fmt.Appendf(nil, "[the first %d bytes of this log are not kept]\n", from), text[from:]...)
}

// Log returns the log that was saved last for the key. It fails with ErrNotFound if there is none.
func (s *Store) Log(ctx context.Context, key history.LogKey) ([]byte, error) {
	var packed []byte
	err := s.view(ctx, "read a log", func(ctx context.Context, q queries) error {
		err := q.row(ctx, "SELECT data FROM job_logs WHERE release = ? AND environment = ? AND step = ?",
			key.Release, key.Environment, key.Step).Scan(&packed)
		if errors.Is(err, sql.ErrNoRows) {
			return &failure{fmt.Sprintf("no log of %s of release %s in %s is kept", key.Step, key.Release, key.Environment), ErrNotFound}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, MaxLog+1))
	if err != nil {
		return nil, fmt.Errorf("read a log: %w", err)
	}
	return text, nil
}
