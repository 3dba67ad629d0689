package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnrelated says that two commits have no commit in common.
var ErrUnrelated = errors.New("no commit in common")

// FetchFrom brings a commit here by a ref of the remote that leads to it, such as refs/pull/7/head: a forge keeps there
// what lies on a branch of another repository. The hash is a full one. It stays under refs/sengu/seen. The error matches
// ErrRevisionMissing when the ref does not lead to it, as after the next push.
func (r *Repository) FetchFrom(ctx context.Context, ref, rev string, auth Auth) error {
	name, isRef := strings.CutPrefix(ref, "refs/")
	if !isRef || checkBranch(name) != nil {
		return fmt.Errorf("fetch %s: %q is no ref", r.remote.raw, ref)
	}
	if !fullHash.MatchString(rev) {
		return fmt.Errorf("fetch %s: %q is not a full commit hash", r.remote.raw, rev)
	}
	if r.Has(ctx, rev) {
		return nil
	}
	return r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		if _, err := r.transfer(ctx, ref, cred); err != nil {
			err = r.explain(ctx, ref, cred, err)
			if errors.Is(err, ErrBranchMissing) {
				return &FetchError{URL: r.remote.raw, Ref: ref, Reason: ErrRevisionMissing, Detail: "there is no such ref"}
			}
			return err
		}
		if !r.Has(ctx, rev) {
			return &FetchError{URL: r.remote.raw, Ref: ref, Reason: ErrRevisionMissing, Detail: "it leads elsewhere"}
		}
		return r.remember(rev)
	})
}

// Beside returns those of some commits, by their full hashes, that did not come before another one and are not it. All of
// them have to be here.
func (r *Repository) Beside(ctx context.Context, tip string, commits []string) ([]string, error) {
	if len(commits) == 0 {
		return nil, nil
	}
	for _, rev := range append([]string{tip}, commits...) {
		if !fullHash.MatchString(rev) || !r.Has(ctx, rev) {
			return nil, fmt.Errorf("compare %d commits with %s: %w: %s", len(commits), tip, ErrUnknownRevision, rev)
		}
	}
	in := strings.NewReader(strings.Join(commits, "\n") + "\n^" + tip + "\n")
	out, err := r.store.git(ctx, run{dir: r.dir, args: []string{"rev-list", "--stdin"}, stdin: in})
	if err != nil {
		return nil, fmt.Errorf("compare %d commits with %s: %w", len(commits), tip, err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		found[strings.TrimSpace(line)] = true
	}
	return slices.DeleteFunc(slices.Clone(commits), func(rev string) bool { return !found[rev] }), nil
}

// MergeBase is the newest commit that two commits, by their full hashes, have in common: what one was made from, as seen
// from the other. The error matches ErrUnrelated when there is none.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	for _, rev := range []string{a, b} {
		if !r.Has(ctx, rev) {
			return "", fmt.Errorf("compare %s with %s: %w: %s", a, b, ErrUnknownRevision, rev)
		}
	}
	out, err := r.store.git(ctx, run{dir: r.dir, args: []string{"merge-base", a, b}})
	switch {
	case err == nil:
		return strings.TrimSpace(string(out)), nil
	case exitCode(err) == 1:
		return "", fmt.Errorf("compare %s with %s: %w", a, b, ErrUnrelated)
	case errors.Is(reasonOf(err.Error()), ErrCorrupt):
		return "", fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return "", fmt.Errorf("compare %s with %s: %w", a, b, err)
}
