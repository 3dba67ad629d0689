// Package gitrepotest opens Stores of mirrors for tests.
//
// It is responsible for their end: a Store is closed with its test, which fails if that does. It refuses to be a remote,
// which gitserver is.
package gitrepotest

import (
	"testing"

	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// Open opens a Store in a folder until the end of a test.
func Open(t testing.TB, dir string, opts gitrepo.Options) *gitrepo.Store {
	t.Helper()
	store, err := gitrepo.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
