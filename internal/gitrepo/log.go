package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Log lists the commits that to has and from has not, both full hashes, the newest first and at most so many, and says
// whether there are more.
func (r *Repository) Log(ctx context.Context, from, to string, most int) (commits []CommitInfo, more bool, err error) {
	for _, rev := range []string{from, to} {
		if !fullHash.MatchString(rev) {
			return nil, false, fmt.Errorf("read the log of %s: %q is not a full commit hash", r.remote.raw, rev)
		}
		if !r.Has(ctx, rev) {
			return nil, false, fmt.Errorf("read the log of %s: %w: %s", r.remote.raw, ErrUnknownRevision, rev)
		}
	}
	// Mostly it is one commit, which says so itself: that costs no process.
	if c, err := r.commit(ctx, to); err == nil && most > 0 && len(c.parents) == 1 && c.parents[0] == from {
		return []CommitInfo{c.info}, false, nil
	}
	args := []string{"rev-list", "--topo-order", "--max-count=" + strconv.Itoa(most+1), to, "^" + from}
	out, err := r.store.git(ctx, run{dir: r.dir, args: args})
	if err != nil {
		if errors.Is(reasonOf(err.Error()), ErrCorrupt) {
			return nil, false, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, false, fmt.Errorf("read the log of %s between %s and %s: %w", r.remote.raw, from, to, err)
	}
	for hash := range strings.FieldsSeq(string(out)) {
		if len(commits) == most {
			return commits, true, nil
		}
		info, err := r.Commit(ctx, hash)
		if err != nil {
			return nil, false, err
		}
		commits = append(commits, info)
	}
	return commits, false, nil
}
