package sqlstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

// versionTable is where goose keeps the version of the schema.
const versionTable = "sengu_schema"

// migrationWait is how long a replica waits for another one that brings the schema up to date, in seconds.
const migrationWait = 60

// migrate brings the schema up to date, and says from which version to which.
func (s *Store) migrate(ctx context.Context) (from, to int64, err error) {
	provider, err := s.provider()
	if err != nil {
		return 0, 0, err
	}
	// Two processes may find a new file at once, and SQLite has no lock for it that lasts over several transactions: who
	// comes second looks again.
	for n := 1; ; n++ {
		from, to, err = s.upgrade(ctx, provider)
		var said *failure
		if err == nil || errors.As(err, &said) || n == tries || ctx.Err() != nil {
			return from, to, err
		}
	}
}

func (s *Store) upgrade(ctx context.Context, provider *goose.Provider) (from, to int64, err error) {
	from, to, err = provider.GetVersions(ctx)
	if err != nil {
		return 0, 0, err
	}
	if from > to {
		return 0, 0, s.newer(from, to)
	}
	if from < to {
		if _, err := provider.Up(ctx); err != nil {
			return 0, 0, err
		}
	}
	now, to, err := provider.GetVersions(ctx)
	if err == nil && now > to { // another replica, a newer one, was at it meanwhile
		err = s.newer(now, to)
	}
	return from, to, err
}

func (s *Store) newer(is, known int64) error {
	return &failure{fmt.Sprintf("%s has schema %d, and this Sengu knows schemas up to %d: a newer Sengu has used it; "+
		"run that version again, or restore the backup from before the update", s.name, is, known), ErrRefused}
}

func (s *Store) provider() (*goose.Provider, error) {
	folder, dialect := "migrations/sqlite", goose.DialectSQLite3
	options := []goose.ProviderOption{
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(s.log), goose.WithTableName(versionTable),
	}
	if s.path == "" {
		folder, dialect = "migrations/postgres", goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, migrationWait), lock.WithUnlockTimeout(1, 10))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, folder)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(dialect, s.write, files, options...)
}
